"""Checks rendered manifests against what the documentation promises.

Usage: k8s_check.py RENDERED_DIR CORE_DIR [--rendered]

Writes the resources of Kubernetes' own kinds to CORE_DIR, for the schema validator. With
--rendered the files are what kustomize made; without, they are the base's own files, and checks
that span resources are left out.
"""

import json
import pathlib
import sys

import yaml

OPERATOR = "monitoring.coreos.com/"


def seconds(text):
    """A duration as the worker writes it."""
    for suffix, factor in (("ms", 0.001), ("s", 1), ("m", 60)):
        if text.endswith(suffix) and text[: -len(suffix)].isdigit():
            return int(text[: -len(suffix)]) * factor
    raise ValueError(f"not a duration: {text}")


def flag(args, name):
    return next((arg.split("=", 1)[1] for arg in args if arg.startswith(f"{name}=")), None)


def check_pod(deployment):
    """Yields what is wrong with a Deployment's pod."""
    pod = deployment["spec"]["template"]["spec"]
    security = pod["securityContext"]
    if security.get("runAsNonRoot") is not True or not security.get("runAsUser"):
        yield "may run as root"
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "has no seccomp profile"
    if pod.get("automountServiceAccountToken") is not False:
        yield "mounts a service account token"
    (container,) = pod["containers"]
    expected = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    if container["securityContext"] != expected:
        yield f"has the security context {container['securityContext']}"
    if container["resources"]["requests"] != {"cpu": "10m", "memory": "32Mi"}:
        yield "requests other resources than documented"
    if "memory" not in container["resources"]["limits"]:
        yield "has no memory limit"

    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for probe, path in (("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        get = container[probe]["httpGet"]
        if get["path"] != path or ports[get["port"]] != 9090:
            yield f"has a {probe} at {get}"
    env = {entry["name"]: entry for entry in container["env"]}
    if env["CONNECTOR_WORKER_HTTP_ADDR"].get("value") != "0.0.0.0:9090":
        yield "does not listen where it is probed"
    if "secretKeyRef" not in env["REDIS_URL"].get("valueFrom", {}):
        yield "takes REDIS_URL from elsewhere than a Secret"

    args = container["args"]
    if pod["terminationGracePeriodSeconds"] <= seconds(flag(args, "--shutdown-timeout")):
        yield "is killed before its own shutdown deadline"
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    directory = str(pathlib.PurePosixPath(env["CONNECTORS_CONFIG_PATH"]["value"]).parent)
    if "subPath" in mounts[directory]:
        yield "mounts the configuration where no update arrives"


def check_together(resources):
    """Yields what does not fit together among the resources of one file."""
    by_kind = {resource["kind"]: resource for resource in resources}
    template = by_kind["Deployment"]["spec"]["template"]
    labels = template["metadata"]["labels"].items()
    selectors = {
        "Deployment": by_kind["Deployment"]["spec"]["selector"]["matchLabels"],
        "PodDisruptionBudget": by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        "NetworkPolicy": by_kind["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    }
    if "PodMonitor" in by_kind:
        selectors["PodMonitor"] = by_kind["PodMonitor"]["spec"]["selector"]["matchLabels"]
    instance = "app.kubernetes.io/instance"
    for kind, selector in selectors.items():
        if not selector.items() <= labels:
            yield f"{kind} selects other pods"
        if instance in dict(labels) and instance not in selector:
            yield f"{kind} selects the pods of other overlays too"

    (volume,) = template["spec"]["volumes"]
    config = by_kind["ConfigMap"]
    if volume["configMap"]["name"] != config["metadata"]["name"]:
        yield "the mounted ConfigMap does not exist"
    connectors = json.loads(config["data"]["connectors.json"])["connectors"]
    name = flag(template["spec"]["containers"][0]["args"], "--name")
    if name and name not in [connector["name"] for connector in connectors]:
        yield f"connectors.json has no connector {name}"
    if template["spec"]["serviceAccountName"] != by_kind["ServiceAccount"]["metadata"]["name"]:
        yield "the service account does not exist"


def main():
    source, core = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    core.mkdir(parents=True, exist_ok=True)
    problems = []
    deployments = 0
    for file in sorted(source.glob("*.yaml")):
        resources = [resource for resource in yaml.safe_load_all(file.read_text()) if resource]
        for resource in resources:
            if resource["kind"] == "Deployment":
                deployments += 1
                problems += [f"{file.name}: the pod {problem}" for problem in check_pod(resource)]
        if "--rendered" in sys.argv:
            problems += [f"{file.name}: {problem}" for problem in check_together(resources)]
            monitored = any(resource["kind"] == "PodMonitor" for resource in resources)
            if monitored != file.stem.endswith("-monitored"):
                problems.append(f"{file.name}: the pod-monitor component is not where it belongs")
        ours = [resource for resource in resources if not resource["apiVersion"].startswith(OPERATOR)]
        (core / file.name).write_text(yaml.safe_dump_all(ours))
    if not deployments:
        problems.append("no Deployment was found")
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(bool(problems))


main()
