// Why a payment was refused before anything was confirmed; `reason` is one of the API's.

export class PaymentRefusal extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}
