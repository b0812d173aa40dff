"""A data service on this machine: the real library runs on any market file without account or network."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import xarray as xr


class Service(ThreadingHTTPServer):
    """The server, and what it serves."""

    daemon_threads = True
    market: xr.DataArray
    url: str


@contextmanager
def serving(market: Path | str | xr.DataArray) -> Iterator["Service"]:
    """Serve a market, a NetCDF file or an array in the platform's layout, at `service.url`, ending in `/`.

    Paths may begin with `last/DATE/`, which cuts the data there, as on the platform. `service.market` may be
    replaced while it runs. What is no question about data (usage tracking) gets an empty answer.
    """
    with Service(("127.0.0.1", 0), _Handler) as server:
        server.market = market if isinstance(market, xr.DataArray) else xr.load_dataarray(market)
        server.url = f"http://127.0.0.1:{server.server_port}/"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path, query = self._split()
        if path != "assets":
            return self._answer(b"")
        window = self._window(query.get("min_date", "0001-01-01"), query.get("max_date", "9999-12-31"))
        liquid = (window.sel(field="is_liquid") > 0).any("time")
        names = window.asset.values[liquid.values].tolist()
        return self._answer(json.dumps([{"id": name} for name in names]).encode())

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        window = self._window(asked["min_date"], asked["max_date"])
        window = window.sel(asset=[name for name in window.asset.values.tolist() if name in asked["assets"]])
        self._answer(bytes(window.to_netcdf(engine="scipy")) if window.size else b"")

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
