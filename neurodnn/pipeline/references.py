"""The references of a run: layer RDMs computed once per network, and the user's own.

They are made when the first subject's data have been read, so that bad images stop a run before
a network works for hours, and before anything stands in the output folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from neurodnn._checks import InputError, message
from neurodnn.bids import (
    WriteError,
    bids_label,
    check_unique_labels,
    is_done,
    write_derivative,
)
from neurodnn.pipeline.config import Config, option_value
from neurodnn.pipeline.jobs import Plan, Reference
from neurodnn.pipeline.logs import LOGGER, shows_progress, software_versions
from neurodnn.pipeline.matching import stimulus_folder
from neurodnn.pipeline.resume import FileHashes, hash_of, parameter_hash


@dataclass
class ReferenceSet:
    """What brains are compared with, known by name before it is computed.

    Attributes
    ----------
    references : list of Reference
        Layers first, in the order of the network, then the user's RDMs.
    nuisance : list of Reference
        RDMs that are held constant.
    identity : dict or None
        The network's NetworkIdentity.
    stimuli : DataFrame or None
        The stimulus table with checksums.
    rdms : list
        One `RDMs` per source, filled by `compute`.
    methods : list
        Paragraphs and citation keys about the references.
    network, images
        Module and ImageFolder, None without a network.
    """

    plan: Plan
    hashes: FileHashes
    references: list[Reference] = field(default_factory=list)
    nuisance: list[Reference] = field(default_factory=list)
    identity: dict[str, Any] | None = None
    stimuli: Any = None
    rdms: list[Any] = field(default_factory=list)
    methods: list[tuple[str, list[str]]] = field(default_factory=list)
    network: Any = None
    images: Any = None

    @property
    def config(self) -> Config:
        """The run's options."""
        return self.plan.config

    @property
    def nuisance_names(self) -> list[str]:
        """What is held constant, each subject's own order of presentation last."""
        names = [each.name for each in self.nuisance]
        if self.config.nuisance_order:
            from neurodnn.rsa.presentation import REFERENCE

            names.append(REFERENCE)
        return names

    def layer_parameters(self) -> dict[str, Any]:
        """Return what a layer RDM depends on beside the images."""
        return {
            "Network": self.identity,
            "Metric": self.config.layer_metric,
            "Device": self.config.device,
        }

    def input_hash(self, reference: Reference) -> str:
        """Return the hash of what the RDM of one reference is made from."""
        if reference.source == "network":
            rows = self.stimuli[["stimulus", "sha256"]].to_numpy().tolist()
            return hash_of({"stimuli": rows})
        brought = [*self.plan.user_rdms, *self.plan.nuisance]
        path = next(p for p, _ in brought if p.name == reference.source)
        names = None if self.stimuli is None else sorted(self.stimuli["stimulus"])
        return hash_of({"rdm": self.hashes(path), "stimuli": names})

    def parameter_hash(self, reference: Reference) -> str:
        """Return the hash of the options that shape the RDM of one reference."""
        content: dict[str, Any] = {"Reference": reference.name}
        if reference.source == "network":
            content |= self.layer_parameters()
        else:
            content["StimulusKey"] = self.config.stimulus_key
        return parameter_hash(content)

    def over(self, stimuli: tuple[str, ...]) -> Any:
        """Return all references over `stimuli` in that order, as one `RDMs`."""
        from neurodnn.workflows.restriction import join_references, restrict_rdms

        self.compute()
        return join_references([restrict_rdms(part, stimuli) for part in self.rdms])

    def nuisance_over(self, stimuli: tuple[str, ...], order: Any = None) -> Any:
        """Return the nuisance RDMs over `stimuli` in that order, None without any.

        `order` is one subject's own, over the same stimuli: its order of presentation.
        """
        from neurodnn.workflows.restriction import join_references, restrict_rdms

        parts = [restrict_rdms(rdms, stimuli) for _, rdms in self.plan.nuisance]
        parts += [] if order is None else [order]
        return join_references(parts) if parts else None

    def compute(self) -> None:
        """Compute what is not in the output folder yet, and write it there; once per run."""
        if self.rdms:
            return
        out = self.config.output_dir
        layers = [each for each in self.references if each.source == "network"]
        parts = []
        if layers:
            parts.append(self._layer_rdms(layers))
        parts += [rdms for _, rdms in self.plan.user_rdms]
        nuisance = [rdms for _, rdms in self.plan.nuisance]
        waiting = iter([*self.references, *self.nuisance])
        for part in [*parts, *nuisance]:
            for index in range(len(part.dissimilarities)):
                self._write(out, next(waiting), part, index)
        self.rdms = parts

    def layer_table(self) -> Any:
        """Return name, type, shape and field of all layers, None without a network."""
        if self.network is None:
            return None
        from neurodnn.dnn.layers import describe_layers

        _, height, width = self.images[0].shape
        return describe_layers(self.network, (int(height), int(width)))

    def _layer_rdms(self, layers: list[Reference]) -> Any:
        from neurodnn.rsa.rdm_files import read_rdms
        from neurodnn.workflows.layer_rdms import layer_rdms
        from neurodnn.workflows.restriction import join_references

        config, out = self.config, self.config.output_dir
        if all(
            is_done(out / each.rdm_path, self.input_hash(each), self.parameter_hash(each),
                    overwrite=config.overwrite)
            for each in layers
        ):  # fmt: skip
            LOGGER.info("layer RDMs: found in %s, not computed again", layers[0].rdm_path.parent)
            parts = [read_rdms(out / each.rdm_path) for each in layers]
            return join_references(parts)
        LOGGER.info("layer RDMs: %d layers, %d images", len(layers), len(self.images))
        try:
            config.work_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteError.of(config.work_dir, error) from error
        store = None
        if config.keep_activations:
            from neurodnn.dnn.store import ActivationStore

            store = ActivationStore(config.work_dir / "activations")
        return layer_rdms(
            self.network, self.images, [each.name for each in layers],
            metric=config.layer_metric, batch_size=config.batch_size, device=config.device,
            store=store, scratch_dir=config.work_dir, progress=shows_progress(config),
        )  # fmt: skip

    def _write(self, out: Path, reference: Reference, part: Any, index: int) -> None:
        hashes = self.input_hash(reference), self.parameter_hash(reference)
        path = out / reference.rdm_path
        if is_done(path, *hashes, overwrite=self.config.overwrite):
            return
        write_derivative(path, part[index], self._sidecar(reference, *hashes),
                         overwrite=self.config.overwrite)  # fmt: skip

    def _sidecar(self, reference: Reference, inputs: str, parameters: str) -> dict[str, Any]:
        sidecar: dict[str, Any] = {
            "Description": f"Representational dissimilarity matrix of {reference.name}",
            "LayerName": reference.name,
            "Layer": reference.layer,
            "StimulusKey": self.config.stimulus_key,
            "InputHash": inputs,
            "ParameterHash": parameters,
            "SoftwareVersions": software_versions(),
        }
        if reference.source == "network" and self.identity:
            sidecar |= {
                "Network": self.identity["name"],
                "NetworkWeightsSHA256": self.identity["weights_sha256"],
                "ImageTransform": self.identity["transform"],
                "Metric": self.config.layer_metric,
            }
        else:
            sidecar["Sources"] = [reference.source]
        return sidecar


def prepare_references(plan: Plan, hashes: FileHashes) -> ReferenceSet:
    """Return the references by name: the network loaded, its layers found, labels checked.

    Raises
    ------
    InputError
        Unknown network or layer, unsafe or unfitting weights, two references with one file name.
    """
    found = ReferenceSet(plan, hashes)
    config = plan.config
    if config.network != "none" or config.stimuli is not None:
        from neurodnn.stimuli import read_stimuli

        with_images = config.network != "none"
        found.stimuli = read_stimuli(
            stimulus_folder(config), key=config.stimulus_key, checksums=with_images
        )
    if config.network != "none":
        _load(found)
    for path, rdms in plan.user_rdms:
        found.references += _brought(path, rdms)
    for path, rdms in plan.nuisance:
        found.nuisance += _brought(path, rdms)
    everything = [*found.references, *found.nuisance]
    names = [each.name for each in everything]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(message("references", "two bear one name", got=twice,
                                 remedy="Rename the RDMs or the files."))  # fmt: skip
    paths = [str(each.rdm_path) for each in everything]
    for path in {path for path in paths if paths.count(path) > 1}:
        raise InputError(message("references", "two would be written to one file", got=path,
                                 remedy="Rename the RDMs or the files."))  # fmt: skip
    return found


def _load(found: ReferenceSet) -> None:
    config = found.config
    LOGGER.info("loading torch and %s ...", option_value(config, "network"))
    from neurodnn.dnn.images import open_images
    from neurodnn.dnn.layers import check_layers
    from neurodnn.dnn.networks import default_layers, load_network, network_identity

    network, transform = load_network(
        config.network, weights=config.weights, seed=config.random_seed,
        image_transform=config.image_transform, device=config.device,
        activation=config.activation, trust_checkpoint=config.trust_checkpoint,
    )  # fmt: skip
    layers = check_layers(network, config.layers) if config.layers else default_layers(network)
    labels = check_unique_labels(layers)
    identity = network_identity(network)
    folder = stimulus_folder(config)
    images = open_images(
        found.stimuli, folder if folder.is_dir() else folder.parent, transform=transform
    )
    found.identity = asdict(identity)
    found.network, found.images = network, images
    found.references = [Reference(name, identity.label, labels[name], "network")
                        for name in layers]  # fmt: skip
    LOGGER.info("%s: layers %s", identity.name, ", ".join(layers))
    from neurodnn.workflows.layer_rdms import describe

    found.methods.append(
        describe({
            "network": identity.name, "layers": layers, "layer_metric": config.layer_metric,
            "n_images": len(images), "transform": identity.transform,
        })
    )  # fmt: skip


def _brought(path: Path, rdms: Any) -> list[Reference]:
    """Return the user's RDMs of one file as references."""
    stem = path.name.partition(".")[0]
    names = [str(name) for name in rdms.rdm_descriptors["reference"]]
    model = bids_label(stem)
    labels: Mapping[str, str | None] = check_unique_labels(names)
    if len(names) == 1 and labels[names[0]] == model:
        labels = {names[0]: None}
    return [Reference(name, model, labels[name], path.name) for name in names]
