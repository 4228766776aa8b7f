#!/usr/bin/env bash
# Prints controller=DIGEST and connect=DIGEST; builds and pushes what the registry does not have.
# The same sources are the same image: what main ran is what production gets.
set -euo pipefail
cd "$(dirname "$0")/.."

account=$(aws sts get-caller-identity --query Account --output text)
registry="$account.dkr.ecr.$REGION.amazonaws.com"
aws ecr get-login-password --region "$REGION" |
    docker login --username AWS --password-stdin "$registry" >&2

docker buildx create --use >&2 # the default builder cannot attach an SBOM

for which in controller connect; do
    repository="wms-connector/$which"
    tag=$(.venv/bin/python -m infra_cdk.pipeline image-tag "$which")
    find_digest() {
        aws ecr batch-get-image --repository-name "$repository" --image-ids "imageTag=$tag" \
            --query 'images[0].imageId.imageDigest' --output text
    }
    digest=$(find_digest)
    if [ "$digest" = None ]; then
        # A push that lost a race for the same sources finds the other one's image: tags are immutable.
        docker buildx build --platform linux/amd64 --target "$which" --sbom=true --provenance=mode=max \
            --tag "$registry/$repository:$tag" --push . >&2 || echo "the push of $which failed" >&2
        digest=$(find_digest)
    fi
    [ "$digest" != None ] || exit 1
    echo "$which=$digest"
done
