"""Synthesize one stage: `python -m infra_cdk --stage main`, or called by the CDK's own CLI."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra_cdk.environment_config import (
    BadConfig,
    FullEnvironmentConfig,
    SourceOfDeploy,
    get_full_environment_config,
    parse_stage,
)
from infra_cdk.node import use_packaged_node
from infra_cdk.secret_source import (
    FileSecrets,
    SecretsManagerSecrets,
    read_config_file,
)


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    use_packaged_node()
    from infra_cdk.app import new_app, synthesize  # node starts here, which takes seconds

    app = new_app(options.out)
    given = {
        key: value or app.node.try_get_context(key)
        for key, value in vars(options).items()
        if key != "out"
    }
    try:
        out = synthesize(app, read_config(given))
    except (BadConfig, RuntimeError) as error:  # what jsii raises is nothing narrower
        sys.stderr.write(f"infra_cdk: {error}\n")
        return 1
    sys.stderr.write(f"synthesized {given['stage']} into {out}\n")
    return 0


def read_config(options: Mapping[str, Any]) -> FullEnvironmentConfig:
    """Put a config together from a file that stands in for AWS, or from AWS itself."""
    stage = parse_stage(options["stage"])
    path = options.get("config")
    file: Mapping[str, Any] = {} if path is None else read_config_file(Path(path))
    region = options.get("region") or file.get("region") or "us-east-1"
    digests = dict(file.get("images", {}))
    digests.update({key: options[key] for key in ("controller", "connect") if options.get(key)})
    return get_full_environment_config(
        stage,
        FileSecrets(file["secrets"]) if "secrets" in file else _aws_secrets(region),
        account=options.get("account") or file.get("account") or _aws_account(region),
        region=region,
        digests=digests,
        deploy=SourceOfDeploy(
            options.get("repository") or file.get("repository") or "",
            options.get("branch") or stage.name,
        ),
        rollback=options.get("rollback") != "off",
        secret_prefix=options.get("secret_prefix") or file.get("secretPrefix") or "wms",
    )


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra_cdk", description=__doc__)
    parser.add_argument("--stage", help="main, val, production, or a branch's stage")
    parser.add_argument("--config", type=Path, help="JSON file that stands in for AWS")
    parser.add_argument("--out", type=Path, help="folder for the templates")
    parser.add_argument("--account", help="AWS account; else that of the credentials")
    parser.add_argument("--region", help="AWS region")
    parser.add_argument("--controller", help="digest of the controller's image")
    parser.add_argument("--connect", help="digest of the worker's image")
    parser.add_argument("--repository", help="OWNER/NAME whose branch this stage is")
    parser.add_argument("--branch", help="git branch whose stage this is")
    parser.add_argument("--secret-prefix", help="first part of every secret's path; wms")
    parser.add_argument("--rollback", choices=("on", "off"), help="off: deploy without workers")
    return parser.parse_args(arguments)


def _aws_secrets(region: str) -> SecretsManagerSecrets:
    import boto3

    return SecretsManagerSecrets(lambda: boto3.client("secretsmanager", region_name=region))


def _aws_account(region: str) -> str:
    import boto3

    return str(boto3.client("sts", region_name=region).get_caller_identity()["Account"])


if __name__ == "__main__":
    raise SystemExit(main())
