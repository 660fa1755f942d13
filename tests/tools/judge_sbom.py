# SPDX-License-Identifier: MIT OR Apache-2.0
"""Judges bills of materials: judge_sbom.py SPDX-FILE CYCLONEDX-FILE.

spdx-tools and the CycloneDX library check the documents, packageurl-python the
package URLs; the list of package URLs goes to standard output."""

import json
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from spdx_tools.spdx.parser.json.json_parser import parse_from_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

spdx, cyclonedx = sys.argv[1:]
document = parse_from_file(spdx)
problems = [str(problem) for problem in validate_full_spdx_document(document)]
problem = JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(cyclonedx).read())
if problem:
    problems.append(str(problem))
one = sorted(ref.locator for package in document.packages for ref in package.external_references)
bom = json.load(open(cyclonedx))
two = sorted(c["purl"] for c in [bom["metadata"]["component"], *bom["components"]])
if one != two:
    problems.append(f"the documents differ: {one} {two}")
for purl in one:
    again = PackageURL.from_string(purl).to_string()
    if again.replace("%3A", ":") != purl:
        problems.append(f"{purl} is canonically {again}")
if problems:
    sys.exit("\n".join(problems))
print("\n".join(one))
