"""What callers send and get: the shapes of the API's JSON."""

from services.admin_api.forms.companies import (
    CompanyAnswer,
    CompanyChangeForm,
    CompanyForm,
    ContactAnswer,
    ContactForm,
    ContactsAnswer,
)
from services.admin_api.forms.fields import by
from services.admin_api.forms.lists import (
    DeliveriesAnswer,
    DeliveryAnswer,
    SetAsideAnswer,
    SetAsidesAnswer,
    delivery_place,
    set_aside_place,
    timeline_place,
    to_cursor,
)
from services.admin_api.forms.numbers import (
    AssignForm,
    AssignmentAnswer,
    NumberAnswer,
    NumbersAnswer,
    ReleaseForm,
    StockAnswer,
    StockForm,
)

__all__ = [
    "AssignForm",
    "AssignmentAnswer",
    "CompanyAnswer",
    "CompanyChangeForm",
    "CompanyForm",
    "ContactAnswer",
    "ContactForm",
    "ContactsAnswer",
    "DeliveriesAnswer",
    "DeliveryAnswer",
    "NumberAnswer",
    "NumbersAnswer",
    "ReleaseForm",
    "SetAsideAnswer",
    "SetAsidesAnswer",
    "StockAnswer",
    "StockForm",
    "by",
    "delivery_place",
    "set_aside_place",
    "timeline_place",
    "to_cursor",
]
