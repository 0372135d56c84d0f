from .client import Api, expect, Person, Sale
from .conftest import hold
def test_x(api: Api, buyer: Person, sale: Sale) -> None:
    print(hold(buyer, sale, "A-1-1").json)
    print(api.get(sale.seats).json["seats"][:2])
