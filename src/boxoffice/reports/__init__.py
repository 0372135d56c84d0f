"""Reports for organizers: sales, what is owed to an organization, and who has tickets.

Reads committed records of other modules. The figures of both reports add up to the ledger.
"""
