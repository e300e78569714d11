"""Trains the LSTM with PyTorch, in a process of its own.

It is ``python -m quorum.learning.lstm_training``, the only module that imports PyTorch; a bot never
does. A request is one line of JSON on standard input, its arrays are files of a folder; the answer
is one line on standard output, the weights are files beside. The process ends with its input. One
thread and fixed seeds: equal requests give equal weights.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from quorum.extras import library

#: Weights of one network, in the order they are stored.
WEIGHTS = ("w_in", "w_state", "bias", "w_out", "b_out")


def main() -> None:
    """Answer requests until the input ends."""
    torch = library("sequence", "torch")
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for line in sys.stdin:
        try:
            answer = fit(torch, json.loads(line))
        except (RuntimeError, ValueError, OSError, KeyError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


def fit(torch: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Train every seed of a request and write its weights; return the epochs that were best."""
    data, folder = Path(request["data"]), Path(request["fit"])

    def read(place: Path, name: str) -> Any:
        return torch.from_numpy(np.load(place / f"{name}.npy", allow_pickle=False))

    source = scaled(read(data, "source"), read(folder, "centre"), read(folder, "scale"))
    places = read(data, "places")
    given = (source, places, read(folder, "codes"), read(folder, "weight"))
    train = read(folder, "train")
    test = read(folder, "test") if (folder / "test.npy").is_file() else None
    epochs = []
    for i in range(request["seeds"]):
        weights, best = fit_seed(torch, request, given, train, test, request["seed"] + i)
        epochs.append(best)
        for name, values in weights.items():
            np.save(folder / f"{name}-{i}.npy", values)
    return {"epochs": epochs, "torch": torch.__version__}


def scaled(values: Any, centre: Any, scale: Any, limit: float = 5.0) -> Any:
    """Return values in robust sigmas from the centre, clipped; 0 where unknown."""
    return ((values - centre) / scale).clamp(-limit, limit).nan_to_num(0.0)


def fit_seed(
    torch: Any, request: dict[str, Any], given: Any, train: Any, test: Any, seed: int
) -> tuple[dict[str, Any], int]:
    """Return the weights of one network after its best epoch, and that epoch."""
    torch.manual_seed(seed)
    source, places, codes, weight = given
    network = make_network(torch, source.shape[1], request)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=request["rate"], weight_decay=request["decay"]
    )
    best, best_loss, kept = 0, float("inf"), weights_of(network)
    for epoch in range(1, request["epochs"] + 1):
        network.train()
        order = train[torch.randperm(len(train))]
        for rows in order.split(request["batch"]):
            said = network(source[places[rows]])
            loss = cross_entropy(torch, said, codes[rows], weight[rows])
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
        if test is None:
            best, kept = epoch, weights_of(network)
            continue
        found = loss_of(torch, network, source, places, codes, weight, test)
        if found < best_loss:
            best, best_loss, kept = epoch, found, weights_of(network)
        elif epoch - best >= request["patience"]:
            break
    return kept, best


def make_network(torch: Any, n_inputs: int, request: dict[str, Any]) -> Any:
    """Return one layer of LSTM, and what its last state says of each class."""

    class Network(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.lstm = torch.nn.LSTM(n_inputs, request["units"], batch_first=True)
            self.drop = torch.nn.Dropout(request["dropout"])
            self.head = torch.nn.Linear(request["units"], request["classes"])

        def forward(self, windows: Any) -> Any:
            states, _ = self.lstm(windows)
            return self.head(self.drop(states[:, -1]))

    return Network()


def cross_entropy(torch: Any, said: Any, codes: Any, weight: Any) -> Any:
    """Return the weighted log loss of a batch."""
    each = torch.nn.functional.cross_entropy(said, codes, reduction="none")
    return (each * weight).sum() / weight.sum().clamp(min=1e-12)


def loss_of(
    torch: Any, network: Any, source: Any, places: Any, codes: Any, weight: Any, rows: Any
) -> float:
    """Return the weighted log loss of some windows [nats]."""
    network.eval()
    total = norm = 0.0
    with torch.no_grad():
        for part in rows.split(4096):
            own = weight[part].sum()
            if own <= 0:
                continue
            said = network(source[places[part]])
            total += float(cross_entropy(torch, said, codes[part], weight[part]) * own)
            norm += float(own)
    return total / norm if norm else float("inf")


def weights_of(network: Any) -> dict[str, Any]:
    """Return the weights as arrays, inputs first, the two biases of a gate added up."""
    lstm, head = network.lstm, network.head
    arrays = {
        "w_in": lstm.weight_ih_l0.T,
        "w_state": lstm.weight_hh_l0.T,
        "bias": lstm.bias_ih_l0 + lstm.bias_hh_l0,
        "w_out": head.weight.T,
        "b_out": head.bias,
    }
    return {n: a.detach().clone().contiguous().numpy() for n, a in arrays.items()}


if __name__ == "__main__":
    main()
