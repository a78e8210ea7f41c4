"""The wordings of the arithmetic word problems, each with the calculations that solve it."""

from dataclasses import dataclass

NAMES = (
    "Tom", "Anna", "Ben", "Clara", "David", "Ella", "Felix", "Grace", "Henry", "Iris", "Jack", "Kate",
    "Leo", "Maria", "Noah", "Olivia", "Paul", "Rosa", "Sam", "Tina", "Victor", "Wendy", "Omar", "Yuki",
)  # fmt: skip
THINGS = (
    "apples", "books", "pencils", "marbles", "stickers", "cookies", "stamps", "coins", "shells", "cards", "buttons",
    "oranges", "flowers", "eggs", "candles", "ribbons", "stones", "balloons", "muffins", "tickets",
)  # fmt: skip
CONTAINERS = ("boxes", "bags", "baskets", "jars", "trays", "drawers")

LARGE = (10, 30)
MIDDLE = (3, 15)
SMALL = (2, 9)
Range = tuple[int, int]


@dataclass(frozen=True)
class Template:
    """One wording: `steps` pair what is found with `left sign right`; `x` is the result of the step before."""

    question: str
    unit: str
    ranges: tuple[Range, ...]
    steps: tuple[tuple[str, str], ...]


TEMPLATES = (
    Template(
        "{name} has {a} {things}. {friend} gives {name} {b} more. How many {things} does {name} have now?",
        "{things}",
        (LARGE, LARGE),
        (("the {things} that {name} has now", "a + b"),),
    ),
    Template(
        "There are {a} {things} on the table. {name} takes {b} of them away. How many {things} are left on the table?",
        "{things}",
        (LARGE, MIDDLE),
        (("the {things} left on the table", "a - b"),),
    ),
    Template(
        "{name} has {a} {containers} with {b} {things} in each. How many {things} does {name} have in total?",
        "{things}",
        (SMALL, (2, 12)),
        (("the {things} in all {containers}", "a * b"),),
    ),
    Template(
        "{name} shares {a} {things} equally among {b} friends. How many {things} does each friend get?",
        "{things}",
        (LARGE, SMALL),
        (("the {things} for each friend", "a / b"),),
    ),
    Template(
        "{name} collected {a} {things} and {friend} collected {b}. "
        "How many more {things} did {name} collect than {friend}?",
        "{things}",
        (LARGE, MIDDLE),
        (("the difference in {things}", "a - b"),),
    ),
    Template(
        "One ticket costs {a} dollars. {name} buys {b} tickets. How many dollars does {name} pay?",
        "dollars",
        ((3, 12), SMALL),
        (("the price of all tickets", "a * b"),),
    ),
    Template(
        "A shelf holds {a} {things}. Another shelf holds {b} {things}. How many {things} are on both shelves?",
        "{things}",
        (LARGE, LARGE),
        (("the {things} on both shelves", "a + b"),),
    ),
    Template(
        "{name} had {a} {things}, bought {b} more and then gave {c} to {friend}. "
        "How many {things} does {name} have left?",
        "{things}",
        (MIDDLE, MIDDLE, MIDDLE),
        (("the {things} after buying", "a + b"), ("the {things} that {name} has left", "x - c")),
    ),
    Template(
        "{name} buys {a} {containers} of {things}. Each holds {b} {things}. {c} {things} are broken. "
        "How many {things} are good?",
        "{things}",
        (SMALL, (3, 12), MIDDLE),
        (("the {things} in all {containers}", "a * b"), ("the good {things}", "x - c")),
    ),
    Template(
        "{name} has {a} {things} and {friend} has {b}. "
        "They put them together and share them equally among {c} children. "
        "How many {things} does each child get?",
        "{things}",
        (MIDDLE, MIDDLE, SMALL),
        (("the {things} put together", "a + b"), ("the {things} for each child", "x / c")),
    ),
    Template(
        "{name} reads {a} pages on Monday and {b} pages on Tuesday. The book has {c} pages. "
        "How many pages are still to read?",
        "pages",
        (MIDDLE, MIDDLE, (31, 50)),
        (("the pages read so far", "a + b"), ("the pages still to read", "c - x")),
    ),
    Template(
        "{name} earns {a} dollars an hour and works {b} hours. Then {name} spends {c} dollars. "
        "How many dollars are left?",
        "dollars",
        ((5, 12), SMALL, MIDDLE),
        (("the dollars earned", "a * b"), ("the dollars left", "x - c")),
    ),
    Template(
        "{name} bakes {a} {things} and eats {b}. The others go into {containers} of {c}. "
        "How many {containers} are filled?",
        "{containers}",
        (LARGE, SMALL, SMALL),
        (("the {things} to pack", "a - b"), ("the {containers} filled", "x / c")),
    ),
    Template(
        "{friend} has {a} {things}. {name} has {b} times as many. How many {things} do they have together?",
        "{things}",
        ((3, 15), (2, 5)),
        (("the {things} of {name}", "a * b"), ("the {things} of both together", "x + a")),
    ),
    Template(
        "{name} walks {a} minutes to school and {b} minutes back every day. "
        "How many minutes does {name} walk in {c} days?",
        "minutes",
        ((3, 12), (3, 12), (2, 6)),
        (("the minutes of one day", "a + b"), ("the minutes of {c} days", "x * c")),
    ),
    Template(
        "A farmer has {a} rows of {b} trees and plants {c} more trees. How many trees does the farmer have now?",
        "trees",
        (SMALL, (3, 12), MIDDLE),
        (("the trees in the rows", "a * b"), ("the trees after planting", "x + c")),
    ),
    Template(
        "{name} wants to save {a} dollars and has {b} dollars. {name} saves {c} dollars every week. "
        "How many weeks does it take?",
        "weeks",
        (LARGE, MIDDLE, SMALL),
        (("the dollars that are missing", "a - b"), ("the weeks of saving", "x / c")),
    ),
    Template(
        "A bus carries {a} people. At a stop {b} people get off and {c} people get on. "
        "How many people are on the bus now?",
        "people",
        (LARGE, MIDDLE, MIDDLE),
        (("the people after the exit", "a - b"), ("the people on the bus now", "x + c")),
    ),
)
