"""Who may begin now, who waits, and who is sent away: bytes, turns and deadlines, without HTTP."""

from .admission import Admission, Budget, ClientLimit, client_at

__all__ = ["Admission", "Budget", "ClientLimit", "client_at"]
