"""Who may begin now, who waits, and who is sent away: bytes, turns and deadlines, without HTTP."""

from app.admission.admission import Admission
from app.admission.budget import Budget
from app.admission.clients import ClientLimit, client_at
from app.admission.first_wait import watched

__all__ = ["Admission", "Budget", "ClientLimit", "client_at", "watched"]
