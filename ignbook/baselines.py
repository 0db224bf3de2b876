"""What an IGN is compared with: DCGAN, VAE, a denoising autoencoder, a restorer, and reconstruction with an IMLE term.

All have the IGN's own encoder and decoder (DCGAN without a linear path, which it never had), and are trained by
`ign_core.fit`, so with the same data order, precision, averaging of weights and stopping rule: a baseline is a source,
a network and a loss with the signature of `ign_core.objective`.  In each of them f(source) is a sample; what may project
an input is f, or f.reconstruct.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import ign_core
import ignbook.checkpoints
import ignbook.remedies
import ignbook.settling
import ignbook.sources
from ign_core import ConvAutoencoder, Losses, Model, Recipe

# -------------------------------------------------------------------------------------------------------------- networks


class DCGAN(nn.Module):
    """Generator and discriminator of Radford et al. (2016): f(z) is the generator, (n, code, 1, 1) -> (n, C, H, W)."""

    def __init__(self, recipe: Recipe):
        super().__init__()
        self.decoder = ConvAutoencoder(recipe.size, recipe.channels, recipe.width, recipe.code, "batch").decoder
        self.critic = ConvAutoencoder(recipe.size, recipe.channels, recipe.width, 1, "batch").encoder

    reconstruct = None  # it has no way back from an image

    def forward(self, z: Tensor, x: Tensor | None = None):
        """Images; with x too, in one pass as Fabric wants it, the critic's logits (n,) for the generator, for x and for f(z)."""
        fake = self.decoder(z)
        if x is None:
            return fake
        frozen = {name: p.detach() for name, p in self.critic.named_parameters()}
        buffers = {name: b.clone() for name, b in self.critic.named_buffers()}  # the generator's turn counts no statistics
        fooled = torch.func.functional_call(self.critic, frozen | buffers, (fake,))
        return fooled.flatten(), self.critic(x).flatten(), self.critic(fake.detach()).flatten()  # x and f(z) apart: BatchNorm


class VAE(nn.Module):
    """Variational autoencoder (Kingma and Welling 2014): f(z) decodes, (n, code, 1, 1) -> (n, C, H, W) in [-1, 1]."""

    def __init__(self, recipe: Recipe):
        super().__init__()
        layers, rest = (recipe.size, recipe.channels, recipe.width), (recipe.norm, recipe.linear)
        self.encoder = ConvAutoencoder(*layers, 2 * recipe.code, *rest).encoder
        self.decoder = ConvAutoencoder(*layers, recipe.code, *rest).decoder

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x), (n, code, 1, 1) each."""
        mean, log_variance = self.encoder(x).chunk(2, 1)
        return mean, log_variance.clamp(-12, 12)

    def forward(self, z: Tensor, x: Tensor | None = None):
        """Images; with x too, its reconstruction from a sample of q(z|x) that the noise z makes, and q's mean and log-variance."""
        if x is None:
            return self.decoder(z)
        mean, log_variance = self.encode(x)
        return self.decoder(mean + (0.5 * log_variance).exp() * z), mean, log_variance

    def reconstruct(self, x: Tensor) -> Tensor:
        """The decoded mean of q(z|x): (n, C, H, W) -> the same."""
        return self.decoder(self.encode(x)[0])


# ---------------------------------------------------------------------------------------------------------------- losses


def dcgan_loss(f: nn.Module, x: Tensor, z: Tensor, **weights) -> Losses:
    """Non-saturating game (Goodfellow et al. 2014), both players at once: Adam sees disjoint parameters.

    In `Losses`, reconstruction stands for the critic's loss and idempotence for the generator's.
    """
    fooled, real, made = f(z, x)
    critic = F.softplus(-real) + F.softplus(made)
    generator = F.softplus(-fooled)
    return Losses(critic.mean() + generator.mean(), critic.detach(), generator.detach(), torch.zeros_like(made.detach()))


def vae_loss(f: nn.Module, x: Tensor, z: Tensor, **weights) -> Losses:
    """Evidence bound with Bernoulli pixels, a sample of q from the noise z.  nats; `Losses`: -log p(x|z), KL, 0."""
    y, mean, log_variance = f(z, x)
    pixels = (ign_core.at_least_float32(y).clamp(-1 + 1e-4, 1 - 1e-4) + 1) / 2
    likelihood = F.binary_cross_entropy(pixels, (x + 1) / 2, reduction="none").flatten(1).sum(1)
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).flatten(1).sum(1)
    total = (likelihood + divergence).mean() / x[0].numel()  # per pixel, so that clipping means the same as elsewhere
    return Losses(total, likelihood.detach(), divergence.detach(), torch.zeros_like(likelihood.detach()))


def denoising_loss(f: nn.Module, x: Tensor, z: Tensor, *, distance: str, **weights) -> Losses:
    """Denoising autoencoder (Vincent et al. 2008): f(x + z) is to be x; here z is the noise, of random strength."""
    strength = torch.linspace(0, 1, len(x), device=x.device).reshape(-1, *[1] * (x.ndim - 1))  # x comes in random order
    error = ign_core.distance_of(distance)(x, f(x + strength * z))
    return _of_error(error)


def _of_error(error: Tensor) -> Losses:
    """Of a loss that is one error (n,) alone; it stands for the reconstruction."""
    return Losses(error.mean(), error.detach(), torch.zeros_like(error.detach()), torch.zeros_like(error.detach()))


def restoring_loss(f: nn.Module, x: Tensor, z: Tensor, *, distance: str, **weights) -> Losses:
    """A restorer trained with pairs, which an IGN never sees: f of damaged x is to be x; x itself has its turn too.

    The kinds of damage are those of the broad sources, by turns, their strengths by lot; z only seeds the lot.
    """
    g = torch.Generator().manual_seed(int(z.flatten()[0].double().abs().item() * 2**32))
    damaged = x.clone()
    for i, kind in enumerate(RESTORED):
        turn = slice(i, None, len(RESTORED) + 1)
        damaged[turn] = ignbook.sources.KINDS[kind](x[turn].cpu(), g).to(x)
    error = ign_core.distance_of(distance)(x, f(damaged))
    return _of_error(error)


def imle_loss(
    f: nn.Module, x: Tensor, z: Tensor, *, reconstruction: float, idempotence: float, distance: str, **weights
) -> Losses:
    """NAIGN's idea (Al-Jaff et al. 2025): reconstruction, and an IMLE term in place of the adversarial pair.

    Their IMLE rejects what is too near already and searches a large pool; this one takes the nearest of the batch.
    """
    fx, fz = f(torch.cat([x, z])).split([len(x), len(z)])
    l_r = ign_core.distance_of(distance)(x, fx)
    drawn = ignbook.remedies.imle(f, x, z, fx, fz)
    total = reconstruction * l_r.mean() + idempotence * drawn
    return Losses(total, l_r.detach(), drawn.detach()[None], torch.zeros_like(l_r.detach()))


# --------------------------------------------------------------------------------------------------------------- methods


@dataclass(frozen=True)
class Method:
    """How a baseline differs from an IGN: its network, its loss, and the source that it is trained with (None: an IGN's).

    A loss that has an `of` is made of the recipe."""

    net: Callable[[Recipe], nn.Module]
    loss: Callable[..., Losses]
    source: Callable[[Recipe], nn.Module] | None = None
    latent: bool = False  # f takes codes, not images: samples start from that source too


NOISE = 0.6  # the strongest noise that the denoising autoencoder is trained on, in units of the range [-1, 1]

RESTORED = ("grey", "sketch", "noisy", "blurred", "masked")  # what the restorer is trained on; kinds of `ignbook.sources`

METHODS = {
    "dcgan": Method(DCGAN, dcgan_loss, lambda r: ign_core.GaussianSource((r.code, 1, 1)), latent=True),
    "vae": Method(VAE, vae_loss, lambda r: ign_core.GaussianSource((r.code, 1, 1)), latent=True),
    "denoise": Method(ign_core.build, denoising_loss, lambda r: ign_core.GaussianSource(r.shape, NOISE)),
    "restore": Method(ign_core.build, restoring_loss, lambda r: ign_core.GaussianSource(r.shape)),
    "imle": Method(ign_core.build, imle_loss),
    "settle": Method(ign_core.build, ignbook.settling.Settling),  # no baselines, but the last phase of an IGN
    "keep": Method(ign_core.build, ignbook.settling.Settling),
}


def method_of(recipe: Recipe) -> Method | None:
    """None for an IGN.  ValueError: unknown."""
    if recipe.method == "ign":
        return None
    if recipe.method not in METHODS:
        raise ValueError(
            f"method {recipe.method!r} is unknown; use 'ign', {', '.join(map(repr, METHODS))}, or add it to METHODS."
        )
    return METHODS[recipe.method]


def build(recipe: Recipe) -> nn.Module:
    """The recipe's network, IGN or baseline, with the weights that its seed gives."""
    method = method_of(recipe)
    if method is None or method.net is ign_core.build:
        return ign_core.build(recipe)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return method.net(recipe)


def sampling_source(recipe: Recipe, data) -> nn.Module:
    """What the samples of the recipe's f start from: codes, or the recipe's source fitted to data, of a mixture the noise."""
    method = method_of(recipe)
    return method.source(recipe) if method and method.latent else ign_core.source_of(replace(recipe, mixture={}), data)


def parts(recipe: Recipe, data) -> tuple[nn.Module, Any, Callable[..., Losses]]:
    """What a training of the recipe takes: f, the source, and the loss."""
    method = method_of(recipe)
    loss: Callable[..., Losses] = method.loss if method else ignbook.remedies.loss_of(recipe)
    if hasattr(loss, "of"):
        loss = ignbook.remedies.loss_of(recipe, loss.of(recipe))
    source = method.source(recipe) if method and method.source else ign_core.source_of(recipe, data)
    return build(recipe), source, loss


def recomputing(f: nn.Module) -> nn.Module:
    """f itself, changed: its parts, as encoder and decoder, keep their input alone for the backward, which computes the rest again.

    That is gradient checkpointing (Chen et al. 2016), by torch.utils.checkpoint: less memory, the same gradients, and one
    more forward.  Not for `ign_core.literal_objective`, whose frozen copy is gone by then: torch raises a CheckpointError.
    ValueError: f has BatchNorm, whose statistics would count each batch twice.
    """
    if any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in f.modules()):
        raise ValueError("a network with BatchNorm would count its statistics twice; leave recompute off, or use norm 'group'.")
    for part in f.children():
        part.forward = partial(checkpoint, part.forward, use_reentrant=False)
    return f


def train(recipe: Recipe, data, compile: bool = False, recompute: bool = False, **options) -> Model:
    """`ign_core.fit` for any recipe, IGN, IGN with remedies, or baseline; options are fit's.  compile: f by torch.compile.
    recompute: keep less for the backward, and compute it again there (`recomputing`)."""
    f, source, loss = parts(recipe, data)
    if recompute:
        if recipe.tightness == 0 and method_of(recipe) is None:  # then the objective is the literal one
            raise ValueError("without tightness there is a frozen copy of f, which can't be recomputed; leave recompute off.")
        recomputing(f)
    if compile:
        f.compile()  # in place: its weights keep their names
    model = ign_core.fit(f, source, data, recipe, loss=loss, **options)
    for part in model.f.children() if recompute else ():
        vars(part).pop("forward", None)  # a trained one has no backward
    method = method_of(recipe)
    if method and method.source:  # trained with a source of its own, which samples need not start from
        model.source = sampling_source(recipe, data)
    return model


def load(name, device: str | torch.device = "cpu") -> Model:
    """`ign_core.load` for baselines too: the network is the one that the card's method has.  Errors: see `ignbook.checkpoints.read`."""
    method = METHODS.get(ignbook.checkpoints.read(name)[1].get("recipe", {}).get("method"))
    source = method.source if method and method.latent else ign_core.source_of
    return ign_core.load(name, device, build=build, source=source)
