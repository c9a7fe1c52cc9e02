"""One function for each family, with R's and brms's names and defaults: ``poisson(link="identity")``.

``link`` is mu's; the others are those of parameters that are predicted. All raise `FamilyError` for a link
that the family does not allow.
"""

from __future__ import annotations

from .base import Family
from .registry import brmsfamily

__all__ = [
    "Beta",
    "Gamma",
    "asym_laplace",
    "bell",
    "bernoulli",
    "beta_binomial",
    "binomial",
    "com_poisson",
    "cox",
    "discrete_weibull",
    "exgaussian",
    "exponential",
    "frechet",
    "gaussian",
    "gen_extreme_value",
    "generalised_poisson",
    "geometric",
    "hurdle_gamma",
    "hurdle_lognormal",
    "hurdle_negbinomial",
    "hurdle_poisson",
    "inverse_gaussian",
    "lognormal",
    "nbinom1",
    "negbinomial",
    "negbinomial2",
    "ordered_beta",
    "poisson",
    "shifted_lognormal",
    "skew_normal",
    "skew_t",
    "student",
    "truncated_negbinomial",
    "truncated_poisson",
    "tweedie",
    "von_mises",
    "weibull",
    "wiener",
    "xbeta",
    "zero_inflated_asym_laplace",
    "zero_inflated_beta",
    "zero_inflated_beta_binomial",
    "zero_inflated_binomial",
    "zero_inflated_negbinomial",
    "zero_inflated_poisson",
    "zero_one_inflated_beta",
]


def gaussian(link: str = "identity", link_sigma: str = "log") -> Family:
    """Normal responses."""
    return brmsfamily("gaussian", link, link_sigma=link_sigma)


def student(link: str = "identity", link_sigma: str = "log", link_nu: str = "logm1") -> Family:
    """Student t responses: a robust alternative to `gaussian`."""
    return brmsfamily("student", link, link_sigma=link_sigma, link_nu=link_nu)


def skew_normal(link: str = "identity", link_sigma: str = "log", link_alpha: str = "identity") -> Family:
    """Skewed responses; mu and sigma are their mean and standard deviation."""
    return brmsfamily("skew_normal", link, link_sigma=link_sigma, link_alpha=link_alpha)


def skew_t(
    link: str = "identity", link_sigma: str = "log", link_alpha: str = "identity", link_nu: str = "logm1"
) -> Family:
    """Skewed responses with heavy tails; mu and sigma are location and scale. brms has no such family."""
    return brmsfamily("skew_t", link, link_sigma=link_sigma, link_alpha=link_alpha, link_nu=link_nu)


def exgaussian(link: str = "identity", link_sigma: str = "log", link_beta: str = "log") -> Family:
    """Sums of a normal and an exponential variable, such as response times; mu is the mean of the sum."""
    return brmsfamily("exgaussian", link, link_sigma=link_sigma, link_beta=link_beta)


def gen_extreme_value(link: str = "identity", link_sigma: str = "log", link_xi: str = "log1p") -> Family:
    """Maxima, such as those of years."""
    return brmsfamily("gen_extreme_value", link, link_sigma=link_sigma, link_xi=link_xi)


def asym_laplace(link: str = "identity", link_sigma: str = "log", link_quantile: str = "logit") -> Family:
    """Quantile regression: ``bf("y ~ x", quantile=0.25)`` makes mu the lower quartile."""
    return brmsfamily("asym_laplace", link, link_sigma=link_sigma, link_quantile=link_quantile)


def zero_inflated_asym_laplace(
    link: str = "identity", link_sigma: str = "log", link_quantile: str = "logit", link_zi: str = "logit"
) -> Family:
    """Quantile regression of responses some of which are replaced by 0."""
    return brmsfamily(
        "zero_inflated_asym_laplace",
        link,
        link_sigma=link_sigma,
        link_quantile=link_quantile,
        link_zi=link_zi,
    )


def von_mises(link: str = "tan_half", link_kappa: str = "log") -> Family:
    """Angles in radians, from -pi to pi."""
    return brmsfamily("von_mises", link, link_kappa=link_kappa)


def lognormal(link: str = "identity", link_sigma: str = "log") -> Family:
    """Positive responses whose logarithm is normal; mu is the mean of the logarithm."""
    return brmsfamily("lognormal", link, link_sigma=link_sigma)


def Gamma(link: str = "inverse", link_shape: str = "log") -> Family:  # noqa: N802
    """Gamma responses. The default link is that of R's ``stats::Gamma()``; ``brmsfamily("gamma")`` has
    log."""
    return brmsfamily("gamma", link, link_shape=link_shape)


def cox(link: str = "log") -> Family:
    """Survival times with proportional hazards; ``bhaz()`` in the formula says more of the baseline hazard."""
    return brmsfamily("cox", link)


def exponential(link: str = "log") -> Family:
    """Positive responses with a constant hazard, such as waiting times."""
    return brmsfamily("exponential", link)


def inverse_gaussian(link: str = "1/mu^2", link_shape: str = "log") -> Family:
    """Positive responses with a long right tail (R: ``inverse.gaussian``)."""
    return brmsfamily("inverse.gaussian", link, link_shape=link_shape)


def Beta(link: str = "logit", link_phi: str = "log") -> Family:  # noqa: N802
    """Proportions strictly between 0 and 1."""
    return brmsfamily("beta", link, link_phi=link_phi)


def bernoulli(link: str = "logit") -> Family:
    """Responses with two values."""
    return brmsfamily("bernoulli", link)


def binomial(link: str = "logit") -> Family:
    """Numbers of successes out of ``trials()``."""
    return brmsfamily("binomial", link)


def beta_binomial(link: str = "logit", link_phi: str = "log") -> Family:
    """Numbers of successes out of ``trials()`` that vary more than binomial ones."""
    return brmsfamily("beta_binomial", link, link_phi=link_phi)


def poisson(link: str = "log") -> Family:
    """Counts whose variance is their mean."""
    return brmsfamily("poisson", link)


def negbinomial(link: str = "log", link_shape: str = "log") -> Family:
    """Counts whose variance is larger than their mean."""
    return brmsfamily("negbinomial", link, link_shape=link_shape)


def nbinom1(link: str = "log", link_phi: str = "log") -> Family:
    """Counts whose variance is their mean times 1 + phi. glmmTMB's family; brms has none like it."""
    return brmsfamily("nbinom1", link, link_phi=link_phi)


def geometric(link: str = "log") -> Family:
    """Counts whose variance is mu + mu²: `negbinomial` with shape 1."""
    return brmsfamily("geometric", link)


def zero_inflated_poisson(link: str = "log", link_zi: str = "logit") -> Family:
    """Poisson counts, some of which are replaced by 0."""
    return brmsfamily("zero_inflated_poisson", link, link_zi=link_zi)


def zero_inflated_negbinomial(link: str = "log", link_shape: str = "log", link_zi: str = "logit") -> Family:
    """Negative binomial counts, some of which are replaced by 0."""
    return brmsfamily("zero_inflated_negbinomial", link, link_shape=link_shape, link_zi=link_zi)


def zero_inflated_binomial(link: str = "logit", link_zi: str = "logit") -> Family:
    """Numbers of successes out of ``trials()``, some of which are replaced by 0."""
    return brmsfamily("zero_inflated_binomial", link, link_zi=link_zi)


def hurdle_poisson(link: str = "log", link_hu: str = "logit") -> Family:
    """Zeros of probability hu, and else Poisson counts that are not 0."""
    return brmsfamily("hurdle_poisson", link, link_hu=link_hu)


def hurdle_negbinomial(link: str = "log", link_shape: str = "log", link_hu: str = "logit") -> Family:
    """Zeros of probability hu, and else negative binomial counts that are not 0."""
    return brmsfamily("hurdle_negbinomial", link, link_shape=link_shape, link_hu=link_hu)


def weibull(link: str = "log", link_shape: str = "log") -> Family:
    """Positive responses whose hazard is a power of time, such as survival times; mu is the mean."""
    return brmsfamily("weibull", link, link_shape=link_shape)


def frechet(link: str = "log", link_nu: str = "logm1") -> Family:
    """Positive responses with a heavy right tail, such as maxima; mu is the mean."""
    return brmsfamily("frechet", link, link_nu=link_nu)


def shifted_lognormal(link: str = "identity", link_sigma: str = "log", link_ndt: str = "log") -> Family:
    """Response times: a non-decision time ndt plus a lognormal variable."""
    return brmsfamily("shifted_lognormal", link, link_sigma=link_sigma, link_ndt=link_ndt)


def wiener(
    link: str = "identity", link_bs: str = "log", link_ndt: str = "log", link_bias: str = "logit"
) -> Family:
    """Response times with decisions, given by ``dec()``: the drift diffusion model with drift mu, boundary separation
    bs, non-decision time ndt and relative starting point bias."""
    return brmsfamily("wiener", link, link_bs=link_bs, link_ndt=link_ndt, link_bias=link_bias)


def hurdle_gamma(link: str = "log", link_shape: str = "log", link_hu: str = "logit") -> Family:
    """Zeros of probability hu, and else gamma responses."""
    return brmsfamily("hurdle_gamma", link, link_shape=link_shape, link_hu=link_hu)


def hurdle_lognormal(link: str = "identity", link_sigma: str = "log", link_hu: str = "logit") -> Family:
    """Zeros of probability hu, and else lognormal responses."""
    return brmsfamily("hurdle_lognormal", link, link_sigma=link_sigma, link_hu=link_hu)


def tweedie(link: str = "log", link_phi: str = "log", link_power: str = "logitm1") -> Family:
    """Zeros and positive responses as sums of a Poisson number of gamma variables, such as rainfall or claims. brms has
    none like it."""
    return brmsfamily("tweedie", link, link_phi=link_phi, link_power=link_power)


def bell(link: str = "log") -> Family:
    """Counts that vary more than Poisson ones, without a further parameter. brms has none like it."""
    return brmsfamily("bell", link)


def com_poisson(link: str = "log", link_shape: str = "log") -> Family:
    """Counts that vary less (shape above 1) or more than Poisson ones."""
    return brmsfamily("com_poisson", link, link_shape=link_shape)


def discrete_weibull(link: str = "logit", link_shape: str = "log") -> Family:
    """Counts of time steps until an event whose hazard falls or grows; mu is the probability of at least 1."""
    return brmsfamily("discrete_weibull", link, link_shape=link_shape)


def generalised_poisson(link: str = "log", link_phi: str = "logm1") -> Family:
    """Counts whose variance is their mean times phi, with a long tail. As glmmTMB's genpois; brms has none like it."""
    return brmsfamily("generalised_poisson", link, link_phi=link_phi)


def negbinomial2(link: str = "log", link_sigma: str = "log") -> Family:
    """`negbinomial` with shape 1 / sigma."""
    return brmsfamily("negbinomial2", link, link_sigma=link_sigma)


def ordered_beta(
    link: str = "logit", link_phi: str = "log", link_cutzero: str = "identity", link_cutdelta: str = "log"
) -> Family:
    """Proportions from 0 to 1, of which cutpoints make the low ones 0 and the high ones 1. brms has none like it."""
    return brmsfamily(
        "ordered_beta", link, link_phi=link_phi, link_cutzero=link_cutzero, link_cutdelta=link_cutdelta
    )


def truncated_negbinomial(link: str = "log", link_shape: str = "log") -> Family:
    """Negative binomial counts of at least 1. As glmmTMB's truncated_nbinom2; brms has none like it."""
    return brmsfamily("truncated_negbinomial", link, link_shape=link_shape)


def truncated_poisson(link: str = "log") -> Family:
    """Poisson counts of at least 1. glmmTMB's family; brms has none like it."""
    return brmsfamily("truncated_poisson", link)


def xbeta(link: str = "logit", link_phi: str = "log", link_kappa: str = "log") -> Family:
    """Proportions from 0 to 1 as beta variables of a wider interval, cut off at 0 and 1."""
    return brmsfamily("xbeta", link, link_phi=link_phi, link_kappa=link_kappa)


def zero_inflated_beta(link: str = "logit", link_phi: str = "log", link_zi: str = "logit") -> Family:
    """Zeros of probability zi, and else proportions strictly between 0 and 1."""
    return brmsfamily("zero_inflated_beta", link, link_phi=link_phi, link_zi=link_zi)


def zero_inflated_beta_binomial(link: str = "logit", link_phi: str = "log", link_zi: str = "logit") -> Family:
    """Beta-binomial numbers of successes out of ``trials()``, some of which are replaced by 0."""
    return brmsfamily("zero_inflated_beta_binomial", link, link_phi=link_phi, link_zi=link_zi)


def zero_one_inflated_beta(
    link: str = "logit", link_phi: str = "log", link_zoi: str = "logit", link_coi: str = "logit"
) -> Family:
    """Zeros or ones of probability zoi, ones among them of probability coi, and else proportions between."""
    return brmsfamily("zero_one_inflated_beta", link, link_phi=link_phi, link_zoi=link_zoi, link_coi=link_coi)
