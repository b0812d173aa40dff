"""A data service on this machine: the real library runs on any market file without account or network.

With `foreign_ids` a list of assets carries an `id` of the service's own beside `symbol` and `exchange`; data
are asked for and answered by that id, and the library translates, as on the platform.
"""

import json
import re
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import xarray as xr


class Service(ThreadingHTTPServer):
    """The server and the market that it serves."""

    daemon_threads = True
    market: xr.DataArray
    url: str
    foreign_ids: bool


def foreign_id(name: str) -> str:
    """Return the service's own id of an asset; ids sort in another order than names do."""
    return f"F{zlib.crc32(name.encode()):08X}"


@contextmanager
def serving(market: Path | str | xr.DataArray, foreign_ids: bool = False) -> Iterator["Service"]:
    """Serve a market, a NetCDF file or an array in the platform's layout, at `service.url`, ending in `/`.

    Paths may begin with `last/DATE/`, which cuts the data there, as on the platform. `service.market` may be
    replaced while it runs. Requests that are not for data (usage tracking) get an empty answer.
    """
    with Service(("127.0.0.1", 0), _Handler) as server:
        server.foreign_ids = foreign_ids
        server.market = market if isinstance(market, xr.DataArray) else xr.load_dataarray(market)
        server.url = f"http://127.0.0.1:{server.server_port}/"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        path, query = self._split()
        if "cryptodaily" in urlsplit(self.path).path:
            return self._crypto(query)
        if path != "assets":
            return self._answer(b"")
        window = self._window(query.get("min_date", "0001-01-01"), query.get("max_date", "9999-12-31"))
        liquid = (window.sel(field="is_liquid") > 0).any("time")
        names = window.asset.values[liquid.values].tolist()
        return self._answer(json.dumps([self._entry(name) for name in names]).encode())

    def _crypto(self, query: dict[str, str]) -> None:
        """Answer with days from the last to the first, and with all assets in the market's order."""
        end = re.search(r"/last/([^/]+)/", self.path)
        last = min(pd.Timestamp(query["max_date"]), pd.Timestamp(end[1] if end else "2200"))
        days = self.server.market.sortby("time", ascending=False)
        inside = (days.time.values >= pd.Timestamp(query["min_date"]).to_datetime64()) & (
            days.time.values <= last.to_datetime64()
        )
        window = days.isel(time=inside)
        self._answer(bytes(window.to_netcdf(engine="scipy")) if window.size else b"")

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        window = self._window(request["min_date"], request["max_date"])
        window = window.assign_coords(
            asset=[self._entry(name)["id"] for name in window.asset.values.tolist()]
        )
        window = window.isel(asset=np.isin(window.asset.values, request["assets"]))
        self._answer(bytes(window.to_netcdf(engine="scipy")) if window.size else b"")

    def _entry(self, name: str) -> dict[str, str]:
        """Return an asset as it stands in a list of assets."""
        if not self.server.foreign_ids:
            return {"id": name}
        exchange, _, symbol = name.rpartition(":")
        return {"id": foreign_id(name), "symbol": symbol} | ({"exchange": exchange} if exchange else {})

    def _split(self) -> tuple[str, dict[str, str]]:
        address = urlsplit(self.path)
        return address.path.split("/")[-1], {key: value[0] for key, value in parse_qs(address.query).items()}

    def _window(self, first: str, last: str) -> xr.DataArray:
        parts = urlsplit(self.path).path.split("/")
        end = parts[parts.index("last") + 1][:10] if "last" in parts else last
        days = self.server.market.time.values.astype("datetime64[D]")
        inside = (days >= np.datetime64(first)) & (days <= np.datetime64(min(last, end)))
        return self.server.market.isel(time=inside)

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Stay quiet."""
