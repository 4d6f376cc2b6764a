"""An application of one's own with Sluice in it: the chart at `/`, the service below `/data`.

.venv/bin/python -m uvicorn --app-dir examples mounted:application --port 8080
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from sluice.app.api import create_app
from sluice.app.settings import Settings

CHART = Path(__file__).with_name("chart.html")

# By the environment, as `sluice serve` is: SLUICE_CATALOG or SLUICE_URLS, and all other settings.
sluice = create_app(Settings())


@asynccontextmanager
async def lifespan(application: FastAPI) -> AsyncIterator[None]:
    """What is mounted has a lifespan that nobody else enters."""
    async with sluice.router.lifespan_context(sluice):
        yield


application = FastAPI(lifespan=lifespan)


@application.get("/")
def chart() -> FileResponse:
    """The page with the chart."""
    return FileResponse(CHART)


@application.get("/about")
def about(name: str = "somebody") -> dict[str, str]:
    """A route of one's own, with all that FastAPI does for one."""
    return {"hello": name}


application.mount("/data", sluice)
