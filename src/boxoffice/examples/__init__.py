"""The examples of the API reference: one concert, one buyer, from the first look-up to a refund.

Each fact stands here once; `http/api/examples.py` composes the example of each type from its schema.
It must never be imported by the product's modules: only the composition root passes it on.
"""

from boxoffice.examples import buying, money, organizing, selling
from boxoffice.examples.story import FIELDS, PARAMETERS, QUERIES
from boxoffice.http.api.examples import Story

STORY = Story(
    fields=FIELDS,
    types={**buying.TYPES, **money.TYPES, **organizing.TYPES, **selling.TYPES},
    members={**buying.MEMBERS, **money.MEMBERS, **organizing.MEMBERS, **selling.MEMBERS},
    parameters=PARAMETERS,
    queries=QUERIES,
    answers=money.ANSWERS,
    problems=buying.PROBLEMS,
    texts=selling.TEXTS,
)
