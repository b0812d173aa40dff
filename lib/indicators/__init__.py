"""Technical indicators in plain numpy.

Names, defaults and results are those of the platform's ``qnt.ta``.

A series is a float array with time along axis 0, an xarray array with a dimension ``time`` anywhere, or a
pandas object with time as its index; the result has the type, shape and labels of the first series. Windows
count values, not days: a NaN gives NaN and takes no place in a window. A result is NaN until its window is
full. An argument called ``ma`` is a number of periods or a function from a series to its moving average.

Importing this package takes milliseconds; importing ``qnt.ta``, which compiles its loops, takes seconds.
"""

from lib.indicators.averages import change, dema, ema, lwma, roc, shift, sma, sroc, tema, vwma, wilder_ma, wma
from lib.indicators.oscillators import (
    ad_line,
    ad_ratio,
    atr,
    beta,
    chaikin_adl,
    chaikin_osc,
    correlation,
    covariance,
    dms,
    macd,
    obv,
    rsi,
    slow_stochastic,
    std,
    stochastic,
    stochastic_k,
    tr,
    trix,
    variance,
)

__all__ = ["dema", "ema", "lwma", "sma", "tema", "vwma", "wilder_ma", "wma"]
__all__ += ["change", "roc", "shift", "sroc"]
__all__ += ["ad_line", "ad_ratio", "chaikin_adl", "chaikin_osc", "obv"]
__all__ += ["beta", "correlation", "covariance", "std", "variance"]
__all__ += ["macd", "rsi", "slow_stochastic", "stochastic", "stochastic_k", "trix"]
__all__ += ["atr", "dms", "tr"]
