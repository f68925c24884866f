"""The shop: what it sells, who sells it and which clock they believe. Pure data and arithmetic."""

from dataclasses import dataclass
from datetime import datetime, timedelta


def check_digit(digits: str) -> str:
    """The GS1 mod-10 check digit of a GTIN without one (GS1 General Specifications §7.9), of any length."""
    weighted = sum(int(d) * (3 if i % 2 == 0 else 1) for i, d in enumerate(reversed(digits)))
    return str(-weighted % 10)


def upc(company: int, item: int) -> str:
    """A UPC-A of number system 4 (in-store use, so no company owns it), zero-padded to 14 digits as POSs print it."""
    body = f"4{company:05d}{item:05d}"
    return f"00{body}{check_digit(body)}"


@dataclass(frozen=True, slots=True)
class Department:
    number: int
    name: str
    tax: str  # "H" taxed in full, "L" at the food rate, "" untaxed; the journal prints the letter
    min_age: int = 0
    category: int = 1
    category_name: str = "GROCERY"
    network_code: int = 400  # the payment network's product code


@dataclass(frozen=True, slots=True)
class Product:
    """`upc` is empty for what is rung up on a department key: such a line cannot be claimed as scan data."""

    name: str
    department: Department
    cents: int
    upc: str = ""
    group: str = ""  # promotions speak of groups


@dataclass(frozen=True, slots=True)
class Promotion:
    """Each unit is `off_cents` cheaper for every `need` units of one group, or for one unit of each of two groups."""

    number: int
    name: str
    groups: tuple[str, ...]
    need: int
    off_cents: int

    @property
    def kind(self) -> str:
        return "combinationOffer" if len(self.groups) > 1 else "mixAndMatchOffer"


@dataclass(frozen=True, slots=True)
class Grade:
    number: int
    name: str
    department: Department
    mills: int  # price per gallon in tenths of a cent


@dataclass(frozen=True, slots=True)
class Cashier:
    number: int
    name: str


TOBACCO = Department(12, "CIG PACK", "H", 21, 2, "TOBACCO", 411)
CIGARS = Department(16, "CIGARS", "H", 21, 2, "TOBACCO", 412)
MOIST = Department(14, "MOIST SNUFF", "H", 21, 2, "TOBACCO", 413)
BEER = Department(17, "BEER", "H", 21, 4, "BEER", 415)
DRINKS = Department(20, "DRINKS", "L", 0, 5, "DRINKS", 420)
SNACKS = Department(3, "SNACKS", "L")
CANDY = Department(6, "CANDY", "L")
HOT_FOOD = Department(31, "HOT FOOD", "L", 0, 8, "KITCHEN", 430)
GENERAL = Department(4, "GENERAL", "H")
LOTTERY = Department(35, "LOTTERY", "", 18, 9, "LOTTERY", 441)
DEPOSIT = Department(9999, "FUEL DEPOSIT", "", 0, 9999, "FUEL DEPOSIT", 0)
REGULAR_FUEL = Department(70, "REGULAR FUEL", "", 0, 20, "FUEL", 1)
PREMIUM_FUEL = Department(72, "PREMIUM FUEL", "", 0, 20, "FUEL", 3)

TAXES = {"H": (1, "SALES TAX", 6250), "L": (2, "FOOD TAX", 2000)}  # letter -> number, name, rate in 1/1000 percent

GRADES = (Grade(1, "REGULAR", REGULAR_FUEL, 3199), Grade(3, "PREMIUM", PREMIUM_FUEL, 4059))


def _range(company: int, group: str, department: Department, *items: tuple[str, int]) -> list[Product]:
    return [
        Product(name, department, cents, upc(company, 100 + 37 * i), group) for i, (name, cents) in enumerate(items)
    ]


AGED: tuple[Product, ...] = (
    *_range(
        90011,
        "WESTBROOK",
        TOBACCO,
        ("WESTBROOK RED BOX", 899),
        ("WESTBROOK GOLD BOX", 899),
        ("WESTBROOK MENTHOL 100 BOX", 925),
    ),
    *_range(90012, "HARLOW", TOBACCO, ("HARLOW FULL FLAVOR", 749), ("HARLOW SILVER 100 SOFT", 765)),
    *_range(90013, "COPPERTIN", MOIST, ("COPPERTIN WINTERGREEN 1.2Z", 619), ("COPPERTIN STRAIGHT LC", 619)),
    *_range(90014, "", CIGARS, ("LITTLE HERON SWEET 2PK", 149), ("LITTLE HERON GRAPE 2PK", 149)),
    *_range(90021, "", BEER, ("OLD LANTERN LAGER 24OZ", 219), ("FOX & FIDDLE IPA 19OZ CAN", 349)),
    Product("TOBACCO", TOBACCO, 599),
)
SHELF: tuple[Product, ...] = (
    *_range(
        90031,
        "FIZZLE",
        DRINKS,
        ("FIZZLE COLA 20OZ", 249),
        ("FIZZLE COLA ZERO 20OZ", 249),
        ("FIZZLE CHERRY 20OZ", 249),
        ("FIZZLE LEMON LIME 1L", 279),
    ),
    *_range(90032, "VOLTA", DRINKS, ("VOLTA ENERGY BLUE 16OZ", 349), ("VOLTA ENERGY ZERO 16OZ", 349)),
    *_range(90033, "", DRINKS, ("CLEARBECK WATER 1L", 199), ("ORCHARD LANE APPLE JUICE", 229)),
    *_range(
        90041,
        "CRINKLE",
        SNACKS,
        ("CRINKLE & CO SEA SALT 3OZ", 219),
        ("CRINKLE & CO BBQ 3OZ", 219),
        ("PRAIRIE PRETZEL TWISTS", 259),
        ("JERKY JUNCTION PEPPERED", 699),
    ),
    *_range(
        90042,
        "BARLEYBAR",
        CANDY,
        ("BARLEYBAR KING SIZE", 299),
        ("BARLEYBAR ALMOND KING", 299),
        ("PUCKERS SOUR RINGS", 219),
        ("MINTWELL GUM 35 STICKS", 389),
    ),
    *_range(90051, "", GENERAL, ("BRIGHTFLAME LIGHTER", 199), ("ROADMATE PHONE CABLE", 1299)),
)
KEYS: tuple[Product, ...] = (
    Product("HOT FOOD", HOT_FOOD, 269, group="HOT"),
    Product("GENERAL", GENERAL, 199),
    Product("LOTTERY", LOTTERY, 500),
    Product("SNACKS", SNACKS, 99),
)
PROMOTIONS: tuple[Promotion, ...] = (
    Promotion(7, "WESTBROOK 2 PACK", ("WESTBROOK",), 2, 50),
    Promotion(8, "HARLOW 3 PACK", ("HARLOW",), 3, 75),
    Promotion(11, "COPPERTIN MULTI", ("COPPERTIN",), 2, 60),
    Promotion(42, "FIZZLE 2 FOR 4", ("FIZZLE",), 2, 49),
    Promotion(43, "VOLTA 2 FOR 6", ("VOLTA",), 2, 49),
    Promotion(51, "HOT FOOD & CRINKLE", ("HOT", "CRINKLE"), 1, 25),
)


@dataclass(frozen=True, slots=True)
class PosClock:
    """A POS clock is nobody's: it is off by `skew_s` and gains `drift_ppm` from `origin` on."""

    origin: datetime
    skew_s: float = 0.0
    drift_ppm: float = 0.0

    def read(self, true: datetime) -> datetime:
        """What the POS says when it is really `true`; both local to the shop and without offset."""
        gained_s = (true - self.origin).total_seconds() * self.drift_ppm / 1e6
        return true + timedelta(seconds=self.skew_s + gained_s)


@dataclass(frozen=True, slots=True)
class Shop:
    """One store. `registers` are indoor; pumps settle on registers 901 and up."""

    number: str = "0042"
    name: str = "HOLLOW CREEK MART"
    registers: tuple[int, ...] = (101, 102)
    pumps: int = 8
    utc_offset_min: int = -300
    cashiers: tuple[Cashier, ...] = (Cashier(3, "ROBIN"), Cashier(4, "SASHA"), Cashier(7, "TERRY"))
    program: str = "CreekRewards"
