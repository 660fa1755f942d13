// SPDX-License-Identifier: MIT OR Apache-2.0
//! SPDX 2.3 as JSON: the image as a package that contains the others.

use serde_json::{Value, json};

use super::{Inventory, Package};

const UNKNOWN: &str = "NOASSERTION";
const IMAGE: &str = "SPDXRef-Image";

pub(super) fn document(inventory: &Inventory) -> Value {
    let subject = &inventory.subject;
    let ids: Vec<String> = (inventory.packages.iter().enumerate())
        .map(|(n, package)| format!("SPDXRef-Package-{n}-{}", id_string(&package.name)))
        .collect();
    let mut packages = vec![json!({
        "SPDXID": IMAGE,
        "name": subject.name,
        "versionInfo": subject.digest.to_string(),
        "primaryPackagePurpose": "CONTAINER",
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": false,
        "checksums": [{"algorithm": "SHA256", "checksumValue": subject.digest.hex()}],
        "externalRefs": [purl(&subject.purl())],
    })];
    let found = inventory.packages.iter().zip(&ids);
    packages.extend(found.map(|(package, id)| describe(package, id, inventory)));
    let contains = ids.iter().map(|id| relationship(IMAGE, "CONTAINS", id));
    let relationships = std::iter::once(relationship("SPDXRef-DOCUMENT", "DESCRIBES", IMAGE));
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": subject.name,
        "documentNamespace": format!("urn:elfuse-bundle:sbom:{}", subject.digest),
        "creationInfo": {
            "created": subject.created,
            "creators": [concat!("Tool: elfuse-bundle-", env!("CARGO_PKG_VERSION"))],
        },
        "packages": packages,
        "relationships": relationships.chain(contains).collect::<Vec<_>>(),
    })
}

fn describe(package: &Package, id: &str, inventory: &Inventory) -> Value {
    let mut described = json!({
        "SPDXID": id,
        "name": package.name,
        "versionInfo": package.version,
        "supplier": package.maintainer.as_deref().map_or(UNKNOWN.to_owned(), supplier),
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": false,
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": UNKNOWN,
        "copyrightText": UNKNOWN,
        "externalRefs": [purl(&package.purl(&inventory.os))],
    });
    // Databases name licences as they like, SPDX takes its own expressions only.
    if let Some(license) = &package.license {
        described["licenseComments"] = format!("the package database says: {license}").into();
    }
    if let Some(source) = &package.source {
        described["sourceInfo"] = format!("built from source package {source}").into();
    }
    described
}

/// `NAME <MAIL>` as SPDX writes it; another name is an organisation's.
fn supplier(maintainer: &str) -> String {
    let parts = maintainer.split_once('<');
    let parts = parts.and_then(|(name, mail)| Some((name.trim(), mail.strip_suffix('>')?)));
    match parts {
        Some((name, mail)) if !name.is_empty() && mail.contains('@') => {
            format!("Person: {} ({mail})", name.replace(['(', ')'], ""))
        }
        _ => format!("Organization: {maintainer}"),
    }
}

fn purl(purl: &str) -> Value {
    json!({
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": purl,
    })
}

fn relationship(from: &str, kind: &str, to: &str) -> Value {
    json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to})
}

/// The letters that an SPDX identifier may have.
fn id_string(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    name.chars()
        .map(|c| if allowed(c) { c } else { '-' })
        .collect()
}
