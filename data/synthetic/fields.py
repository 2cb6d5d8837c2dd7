"""The fields a document may print: how they are asked for, how labelled, how filled in."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from . import values


@dataclass(frozen=True, kw_only=True)
class Formats:
    """How one document writes its dates and amounts."""

    date_pattern: int
    number_style: tuple[str, str]
    currency: str


Maker = Callable[[random.Random, str, Formats], str]


@dataclass(frozen=True)
class FieldKind:
    """A kind of field.

    Attributes:
        name: its key.
        asked: how a question calls it.
        labels: how a document labels it.
        make: draws a value.
        group: fields of one group never meet in a document, nor is one of them called absent
            where another is printed, as they could be taken for each other.
        also: further groups it counts for in that second sense.
    """

    name: str
    asked: tuple[str, ...]
    labels: tuple[str, ...]
    make: Maker
    group: str
    also: tuple[str, ...] = ()


def _money(rng: random.Random, split: str, formats: Formats) -> str:
    return values.amount(rng, split, formats.number_style, formats.currency)


def _date(rng: random.Random, split: str, formats: Formats) -> str:
    return values.date(rng, split, formats.date_pattern)


def _plain(make: Callable[[random.Random, str], str]) -> Maker:
    return lambda rng, split, formats: make(rng, split)


_code = _plain(values.code)
_person = _plain(values.person)


def _small_number(low: int, high: int) -> Maker:
    return lambda rng, split, formats: str(rng.randint(low, high))


_KINDS = (
    FieldKind("invoice number", ("invoice number", "number of the invoice"),
              ("Invoice no", "Invoice No.", "Invoice #", "Invoice number", "Inv. no"), _code,
              "invoice number"),
    FieldKind("order number", ("order number", "number of the order"),
              ("Order no", "Order No.", "Order #", "Order", "Order number"), _code, "order number"),
    FieldKind("receipt number", ("receipt number", "number of the receipt"),
              ("Receipt no", "Receipt #", "Receipt", "Rcpt no"), _code, "receipt number"),
    FieldKind("customer number", ("customer number", "number of the customer"),
              ("Customer no", "Cust. no", "Customer ID", "Client no"), _code, "customer number"),
    FieldKind("account number", ("account number", "number of the account"),
              ("Account no", "Account", "Acct. no", "Account number"), _code, "account number"),
    FieldKind("reference", ("reference", "reference number"),
              ("Ref", "Reference", "Ref. no", "Our ref"), _code, "reference"),
    FieldKind("tracking number", ("tracking number", "number for tracking"),
              ("Tracking", "Tracking no", "Tracking #"), _code, "tracking number"),
    FieldKind("member number", ("member number", "membership number"),
              ("Member no", "Member ID", "Membership no"), _code, "member number"),
    FieldKind("booking code", ("booking code", "booking number"),
              ("Booking", "Booking code", "Booking ref"), _code, "booking code"),
    FieldKind("policy number", ("policy number", "number of the policy"),
              ("Policy no", "Policy", "Policy #"), _code, "policy number"),
    FieldKind("tax number", ("tax number", "VAT number"),
              ("VAT no", "Tax no", "VAT ID", "Tax ID"), _code, "tax number"),
    FieldKind("serial number", ("serial number", "serial"),
              ("Serial no", "S/N", "Serial"), _code, "serial number"),
    FieldKind("date", ("date",), ("Date", "Dated", "Issued", "Date of issue"), _date, "date"),
    FieldKind("due date", ("due date", "date when it is due"),
              ("Due", "Due date", "Pay by", "Payment due"), _date, "due date", ("date",)),
    FieldKind("delivery date", ("delivery date", "date of delivery"),
              ("Delivery", "Delivery date", "Delivered"), _date, "delivery date", ("date",)),
    FieldKind("birth date", ("date of birth", "birth date"),
              ("Date of birth", "Born", "DOB", "Birth date"), _date, "birth date", ("date",)),
    FieldKind("start date", ("start date", "date of the start"),
              ("Start", "Start date", "From", "Begins"), _date, "start date", ("date",)),
    FieldKind("end date", ("end date", "date of the end"),
              ("End", "End date", "Until", "Ends"), _date, "end date", ("date",)),
    FieldKind("time", ("time",), ("Time", "At", "Hour"), _plain(values.clock), "time"),
    FieldKind("total", ("total", "total amount"),
              ("Total", "TOTAL", "Grand total", "Sum total"), _money, "total"),
    FieldKind("amount due", ("amount due", "amount to pay"),
              ("Amount due", "To pay", "Please pay", "Balance due"), _money, "total"),
    FieldKind("balance", ("balance",), ("Balance", "New balance", "Account balance"), _money,
              "balance", ("total",)),
    FieldKind("subtotal", ("subtotal", "sum before tax"), ("Subtotal", "Sub-total", "Net"), _money,
              "subtotal"),
    FieldKind("tax", ("tax", "amount of tax"), ("Tax", "VAT", "Sales tax"), _money, "tax"),
    FieldKind("discount", ("discount", "amount of the discount"), ("Discount", "Rebate"), _money,
              "discount"),
    FieldKind("shipping", ("shipping cost", "cost of shipping"),
              ("Shipping", "Postage", "Freight"), _money, "shipping"),
    FieldKind("deposit", ("deposit", "amount of the deposit"), ("Deposit", "Paid in advance"),
              _money, "deposit"),
    FieldKind("cash", ("cash given", "amount given in cash"), ("Cash", "Cash given"), _money,
              "cash"),
    FieldKind("tip", ("tip", "amount of the tip"), ("Tip", "Gratuity"), _money, "tip"),
    FieldKind("name", ("name", "person's name"), ("Name", "Full name"), _person, "name"),
    FieldKind("customer", ("customer", "name of the customer"),
              ("Customer", "Client", "Bill to", "Sold to"), _person, "name"),
    FieldKind("contact", ("contact", "contact person"), ("Contact", "Contact person"), _person,
              "contact", ("name",)),
    FieldKind("cashier", ("cashier", "name of the cashier"), ("Cashier", "Served by"), _person,
              "cashier", ("name",)),
    FieldKind("sender", ("sender", "name of the sender"), ("From", "Sender"), _person,
              "sender", ("name",)),
    FieldKind("recipient", ("recipient", "name of the recipient"), ("To", "Recipient"), _person,
              "recipient", ("name",)),
    FieldKind("manager", ("manager", "name of the manager"), ("Manager", "Head"), _person,
              "manager", ("name",)),
    FieldKind("company", ("company", "name of the company"), ("Company", "Firm", "Employer"),
              _plain(values.company), "company"),
    FieldKind("phone", ("phone number", "telephone number"),
              ("Phone", "Tel", "Tel.", "Telephone", "Call"), _plain(values.phone), "phone"),
    FieldKind("email", ("email address", "email"), ("Email", "E-mail", "Mail"),
              _plain(values.email), "email"),
    FieldKind("street", ("street address", "street"), ("Street", "Address"),
              _plain(values.street), "street"),
    FieldKind("city", ("city", "town"), ("City", "Town", "Place"), _plain(values.city), "city"),
    FieldKind("postcode", ("postcode", "postal code"), ("Postcode", "ZIP", "Postal code"),
              _plain(values.postcode), "postcode"),
    FieldKind("table", ("table number", "number of the table"), ("Table", "Table no"),
              _small_number(1, 99), "table"),
    FieldKind("room", ("room", "room number"), ("Room", "Room no"), _small_number(1, 899), "room"),
    FieldKind("seat", ("seat", "seat number"), ("Seat", "Seat no"),
              lambda rng, split, formats: f"{rng.randint(1, 60)}{rng.choice('ABCDEF')}", "seat"),
    FieldKind("gate", ("gate", "gate number"), ("Gate",),
              lambda rng, split, formats: f"{rng.choice('ABCDEF')}{rng.randint(1, 60)}", "gate"),
    FieldKind("quantity", ("quantity", "number of pieces"), ("Qty", "Quantity", "Pieces"),
              _small_number(1, 500), "quantity"),
    FieldKind("weight", ("weight",), ("Weight", "Net weight"),
              lambda rng, split, formats: f"{rng.randint(1, 99)}.{rng.randrange(10)} kg", "weight"),
    FieldKind("rate", ("rate", "percentage"), ("Rate", "Interest", "Percent"),
              lambda rng, split, formats: values.percent(rng), "rate"),
    FieldKind("status", ("status",), ("Status", "State"),
              lambda rng, split, formats: rng.choice(
                  ("Paid", "Open", "Closed", "Sent", "Pending", "Draft", "Late", "Approved")),
              "status"),
)  # fmt: skip

FIELDS: dict[str, FieldKind] = {kind.name: kind for kind in _KINDS}
