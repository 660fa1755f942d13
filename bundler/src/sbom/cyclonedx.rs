// SPDX-License-Identifier: MIT OR Apache-2.0
//! CycloneDX 1.5 as JSON: the image as the main component, on which nothing
//! depends and which depends on every package.

use elfuse_payload::Digest;
use serde_json::{Value, json};

use super::{Inventory, Package};

pub(super) fn document(inventory: &Inventory) -> Value {
    let subject = &inventory.subject;
    let image = subject.purl();
    let components: Vec<_> = inventory
        .packages
        .iter()
        .map(|package| describe(package, inventory))
        .collect();
    let depends: Vec<_> = components.iter().map(|c| c["bom-ref"].clone()).collect();
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": format!("urn:uuid:{}", uuid(&subject.digest)),
        "version": 1,
        "metadata": {
            "timestamp": subject.created,
            "tools": {"components": [{
                "type": "application",
                "name": "elfuse-bundle",
                "version": env!("CARGO_PKG_VERSION"),
            }]},
            "component": {
                "type": "container",
                "bom-ref": image,
                "name": subject.name,
                "version": subject.digest.to_string(),
                "purl": image,
                "hashes": [{"alg": "SHA-256", "content": subject.digest.hex()}],
            },
        },
        "components": components,
        "dependencies": [{"ref": image, "dependsOn": depends}],
    })
}

fn describe(package: &Package, inventory: &Inventory) -> Value {
    let purl = package.purl(&inventory.os);
    let mut described = json!({
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "purl": purl,
    });
    if let Some(license) = &package.license {
        described["licenses"] = json!([{"license": {"name": license}}]);
    }
    if let Some(maintainer) = &package.maintainer {
        described["publisher"] = maintainer.as_str().into();
    }
    described
}

/// An identifier made of a digest: version 8 is for any such scheme (RFC 9562).
fn uuid(digest: &Digest) -> String {
    let hex = digest.hex();
    let variant = ["8", "9", "a", "b"][usize::from(hex.as_bytes()[16] % 4)];
    format!(
        "{}-{}-8{}-{variant}{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..32]
    )
}
