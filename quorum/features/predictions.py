"""Predictions: the columns that trained models add to a market (spec M7).

They are made by the model that would have been live at each candle, so they are as causal as
every other column; where no model was live yet, or there is none at all, they are missing or NaN.
"""

from __future__ import annotations

#: Calibrated probabilities that the upper or the lower barrier comes first (spec M2, M4 b).
SIGNAL_UP, SIGNAL_DOWN = "model_signal_up", "model_signal_down"
#: The same of the ensemble (spec M4 c).
ENSEMBLE_UP, ENSEMBLE_DOWN = "model_ensemble_up", "model_ensemble_down"
#: Expected result of a long and of a short in R after costs, by the ensemble.
RETURN_LONG, RETURN_SHORT = "model_return_long", "model_return_short"
#: 1 less half the spread of the members' signed probabilities: 1 where all say the same (spec M12).
AGREEMENT = "model_agreement"
#: Share of the ensemble's members that lean to its side.
UNITED = "model_united"
#: Prefix of each member's part in the ensemble's log-odds of up against down.
CONTRIBUTION = "model_part_"
#: Prefix of the probability of each regime (spec M4 a).
REGIME = "model_regime_"
#: Days since the models of a candle were trained.
AGE = "model_age"
