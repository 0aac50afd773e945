"""`deploy/`: files for containers and clusters, against their schemas and against the command itself.

Compose's schema comes with check-jsonschema, Kubernetes' with kubernetes-validate. KubeRay's comes with no
package: of its files the pods are checked as pods, and the rest against the names of the fields it documents.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import typer
import yaml

from rung.cli.app import app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = "1.34"
MANIFESTS = sorted(path for path in DEPLOY.glob("kubernetes/*.yaml") if path.name != "kustomization.yaml")
RAY = sorted(DEPLOY.glob("kubernetes/ray/*.yaml"))
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def everything() -> list[dict[str, Any]]:
    return [document for path in MANIFESTS for document in documents(path)]


def autoscaler() -> dict[str, Any]:
    """The one that worker.yaml has as a comment."""
    text = (DEPLOY / "kubernetes/worker.yaml").read_text().partition("# apiVersion: autoscaling/v2")
    return yaml.safe_load((text[1] + text[2]).replace("\n# ", "\n").removeprefix("# "))


def pods(document: Any) -> Iterator[dict[str, Any]]:
    """Every pod template in a manifest."""
    if isinstance(document, dict):
        if "containers" in document.get("spec", {}) and "kind" not in document:
            yield document["spec"]
        for value in document.values():
            yield from pods(value)
    elif isinstance(document, list):
        for value in document:
            yield from pods(value)


# -- schemas ----------------------------------------------------------------------------------------------


def test_compose() -> None:
    schema = json.loads(
        files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json").read_text()
    )
    checker = jsonschema.validators.validator_for(schema, default=None)(schema)
    assert list(checker.iter_errors(COMPOSE)) == []
    assert list(checker.iter_errors({**COMPOSE, "services": {"db": {"imagine": 1}}})) != [], "it can fail"


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_kubernetes(path: Path) -> None:
    for document in documents(path):
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
        assert document["kind"] == "Namespace" or document["metadata"]["namespace"] == "rung"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**document, "specs": {}}, KUBERNETES, strict=True)


def test_the_autoscaler_in_the_comment() -> None:
    scaler = autoscaler()
    kubernetes_validate.validate(scaler, KUBERNETES, strict=True)
    assert scaler["spec"]["scaleTargetRef"]["name"] == "rung-worker"
    metric = scaler["spec"]["metrics"][0]["external"]["metric"]["name"]
    assert metric == "rung_jobs_waiting"


def test_kustomization_has_all_but_the_template() -> None:
    (found,) = documents(DEPLOY / "kubernetes/kustomization.yaml")
    assert set(found["resources"]) == {path.name for path in MANIFESTS} - {"secrets.example.yaml"}


@pytest.mark.parametrize("path", RAY, ids=lambda path: path.name)
def test_ray(path: Path) -> None:
    (document,) = documents(path)
    assert document["apiVersion"] == "ray.io/v1"
    cluster = document["spec"].get("rayClusterSpec", document["spec"])
    assert set(cluster) <= {
        "rayVersion", "authOptions", "enableInTreeAutoscaling", "autoscalerOptions", "headGroupSpec",
        "workerGroupSpecs",
    }  # fmt: skip
    found = list(pods(document))
    assert len(found) == 1 + len(cluster["workerGroupSpecs"])
    for spec in found:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)
    image = (DEPLOY / "kubernetes/ray/Dockerfile").read_text()
    assert f"ARG RAY={cluster['rayVersion']}-" in image, "nodes of one cluster run one Ray"


# -- commands ---------------------------------------------------------------------------------------------


def commands() -> dict[str, list[str]]:
    """Every command of rung that these files run, by where it stands."""
    found = {f"compose {name}": s["command"] for name, s in COMPOSE["services"].items() if "command" in s}
    for document in everything():
        for pod in pods(document):
            found |= {f"{document['metadata']['name']}": c["args"] for c in pod["containers"] if "args" in c}
    found["rayjob"] = shlex.split(documents(RAY[1])[0]["spec"]["entrypoint"])[1:]
    for number, words in enumerate(re.findall(r"^CMD (\[.*\])$", (DEPLOY / "Dockerfile").read_text(), re.M)):
        found[f"Dockerfile {number}"] = json.loads(words)
    for path in [DEPLOY / "compose.yaml", *MANIFESTS, *RAY]:
        said = re.sub(r"\\\s*\n# *", " ", path.read_text())
        for number, line in enumerate(
            re.findall(r"rung-entrypoint\s+(.*?)(?: > .*)?$|-- rung (.*)$", said, re.M)
        ):
            found[f"{path.name} comment {number}"] = shlex.split(line[0] or line[1])
    return found


@pytest.mark.parametrize(("where", "words"), commands().items(), ids=commands())
def test_the_command_exists(where: str, words: list[str]) -> None:
    command, context = typer.main.get_command(app), None
    while hasattr(command, "get_command") and words and not words[0].startswith("-"):
        found = command.get_command(context or typer.Context(command), words[0])
        assert found is not None, f"{where}: rung has no command {words[0]!r}"
        command, words = found, words[1:]
    known = {name for parameter in command.params for name in parameter.opts}
    flags = [word.partition("=")[0] for word in words if word.startswith("-")]
    assert {flag for flag in flags if flag != "--help"} <= known, where


# -- what they promise ------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", everything(), ids=lambda d: f"{d['kind']}-{d['metadata']['name']}")
def test_pods_have_no_rights_and_no_secrets(document: dict[str, Any]) -> None:
    if document["kind"] == "Secret":
        assert all("CHANGE-ME" in value for value in document["stringData"].values())
        return
    assert "password:" not in yaml.safe_dump(document).lower()
    for pod in pods(document):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }  # fmt: skip
            assert "memory" in container["resources"]["limits"]
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            claims = {c["metadata"]["name"] for c in document["spec"].get("volumeClaimTemplates", [])}
            assert mounted == {volume["name"] for volume in pod["volumes"]} | claims


def test_selectors_meet_their_pods() -> None:
    documents_ = everything()
    labels = [
        d["spec"]["template"]["metadata"]["labels"] for d in documents_ if "template" in d.get("spec", {})
    ]
    for document in documents_:
        spec = document.get("spec", {})
        wanted = spec.get("podSelector", spec.get("selector", {}))
        wanted = wanted.get("matchLabels", wanted) or {}
        if document["kind"] in (
            "Service",
            "Deployment",
            "StatefulSet",
            "PodDisruptionBudget",
            "NetworkPolicy",
        ):
            assert any(wanted.items() <= each.items() for each in labels), document["metadata"]["name"]
    secrets = {d["metadata"]["name"]: set(d["stringData"]) for d in documents_ if d["kind"] == "Secret"}
    used = set(re.findall(r"secretName: ([\w-]+)", "".join(p.read_text() for p in MANIFESTS)))
    assert used == set(secrets)


def test_compose_is_open_to_this_machine_only() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:8080:8080"]
    assert COMPOSE["services"]["db"]["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert set(COMPOSE["secrets"]) == {name for s in COMPOSE["services"].values() for name in s["secrets"]}
    for name in ("service", "worker"):
        service = COMPOSE["services"][name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["build"]["target"] == name
    assert COMPOSE["services"]["worker"]["deploy"]["replicas"] == 2
    for name in ("db", "service"):
        assert "healthcheck" in COMPOSE["services"][name]


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("Dockerfile")), ids=lambda path: path.parent.name)
def test_images_copy_what_is_there_and_run_as_nobody(path: Path) -> None:
    text = path.read_text()
    allowed = (path.parent / "Dockerfile.dockerignore").read_text().split()
    for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.M):
        *sources, _ = [word for word in line.split() if not word.startswith("--")]
        for source in sources:
            assert (ROOT / source).exists(), source
            assert f"!{source}" in allowed, f"{source} is not sent to the builder"
    users = re.findall(r"^USER (\d+)", text, re.M)
    assert users, "every image says its user"
    assert int(users[-1]) > 0
    assert "latest" not in text


# -- scripts ----------------------------------------------------------------------------------------------


def test_the_entry_point_reads_the_storage_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "rung").write_text('#!/bin/sh\necho "$RUNG_STORAGE|${RUNG_STORAGE_FILE:-none}|$*"\n')
    (tmp_path / "rung").chmod(0o755)
    (tmp_path / "url").write_text("postgresql://rung:pass@db/rung\n")
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "RUNG_STORAGE_FILE": str(tmp_path / "url")}
    words = ["sh", str(DEPLOY / "entrypoint.sh"), "service", "--port", "1"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "postgresql://rung:pass@db/rung|none|service --port 1\n"
    assert (
        subprocess.run(
            words, env={**environment, "RUNG_STORAGE_FILE": "/none"}, capture_output=True
        ).returncode
        != 0
    )


def test_secrets_are_made_once(tmp_path: Path) -> None:
    script = tmp_path / "make-secrets.sh"
    script.write_text((DEPLOY / "make-secrets.sh").read_text())
    found = []
    for _ in range(2):
        done = subprocess.run(["sh", str(script)], capture_output=True, text=True, check=True)
        found.append({path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()})
    assert found[0] == found[1]
    assert set(found[0]) == {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    assert re.fullmatch("[0-9a-f]{48}", found[0]["db_password"])
    assert found[0]["storage_url"] == f"postgresql://rung:{found[0]['db_password']}@db:5432/rung"
    assert found[0]["db_password"] not in done.stdout + done.stderr
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700


def test_the_health_checks_ask_for_what_the_service_has() -> None:
    from rung.service.api_health import router

    routes = {route.path for route in router.routes}
    asked = {probe["httpGet"]["path"] for probe in probes(everything())}
    asked |= set(re.findall(r"127\.0\.0\.1:8080(/\w+)", (DEPLOY / "compose.yaml").read_text()))
    asked |= set(re.findall(r"127\.0\.0\.1:8080(/\w+)", (DEPLOY / "Dockerfile").read_text()))
    assert asked == {"/health", "/ready"} & routes
    check = COMPOSE["services"]["service"]["healthcheck"]["test"]
    done = subprocess.run(
        [sys.executable, *check[2:3], check[3].replace("8080", "9")], capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "Connection refused" in done.stderr, "it is Python, and fails where nobody answers"


def probes(document: Any) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict):
        if "httpGet" in document:
            yield document
        for value in document.values():
            yield from probes(value)
    elif isinstance(document, list):
        for value in document:
            yield from probes(value)
