#!/usr/bin/env bash
# Renders deploy/k8s and checks it against the Kubernetes schemas and our own promises.
# Needs no cluster. What cannot be done on this machine is said in a line that begins "skipped".
set -euo pipefail
cd "$(dirname "$0")/.."

readonly OUT=target/k8s
readonly VENV=target/k8s-venv
readonly VALIDATOR=kubernetes-validate==1.37.0

renderer() {
  if command -v kubectl >/dev/null && kubectl kustomize --help >/dev/null 2>&1; then
    echo "kubectl kustomize"
  elif command -v kustomize >/dev/null; then
    echo "kustomize build"
  fi
}

# Everything an operator may apply: the base, each overlay, and each overlay with monitoring.
render_all() {
  local render=$1 overlay name
  $render deploy/k8s/base >"$OUT/rendered/base.yaml"
  for overlay in deploy/k8s/overlays/*/; do
    name=$(basename "$overlay")
    $render "$overlay" >"$OUT/rendered/$name.yaml"
    mkdir -p "$OUT/monitored/$name"
    cp "$overlay"/* "$OUT/monitored/$name/"
    # The overlay as its comment says: with the component switched on.
    sed -e 's|^# components:|components:|' \
      -e 's|^#   - \.\./\.\./components|  - ../../../../deploy/k8s/components|' \
      -e 's|\.\./\.\./base|../../../../deploy/k8s/base|' \
      "$overlay/kustomization.yaml" >"$OUT/monitored/$name/kustomization.yaml"
    $render "$OUT/monitored/$name" >"$OUT/rendered/$name-monitored.yaml"
  done
}

rm -rf "$OUT"
mkdir -p "$OUT/rendered"
render=$(renderer)
if [ -n "$render" ]; then
  render_all "$render"
else
  echo "skipped: rendering (neither kubectl nor kustomize is here); checking the base's own files"
  for file in deploy/k8s/base/*.yaml; do
    [ "$(basename "$file")" = kustomization.yaml ] || cp "$file" "$OUT/rendered/"
  done
fi

if [ ! -x "$VENV/bin/kubernetes-validate" ]; then
  if ! { python3 -m venv "$VENV" && "$VENV/bin/pip" install --quiet "$VALIDATOR"; }; then
    rm -rf "$VENV"
    echo "skipped: schemas and promises (python3 -m venv, or pip install $VALIDATOR, failed)"
    exit 0
  fi
fi

# Kinds of the Prometheus Operator have no schema in the validator; check.py looks at them.
"$VENV/bin/python" tests/k8s_check.py "$OUT/rendered" "$OUT/core" ${render:+--rendered}
"$VENV/bin/kubernetes-validate" --strict --quiet "$OUT"/core/*.yaml
echo "k8s: ok ($(find "$OUT/core" -name '*.yaml' | wc -l) files)"
