// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--elfuse-inspect`: what is inside, for people and for programs. Strings
//! of an image are written so that they cannot steer a terminal.

use std::io::{self, Write};
use std::path::Path;

use elfuse_payload::provenance::Platform;
use elfuse_payload::reader::Payload;
use elfuse_payload::segment::SectionKind;
use serde_json::{Value, json};

/// Writes a few aligned lines.
pub(crate) fn text(payload: &Payload, program: &Path, out: &mut dyn Write) -> io::Result<()> {
    let provenance = payload.provenance();
    let layer = payload.header().section(SectionKind::Layer);
    let config = parse(payload.config());
    let config = &config["config"];
    let mut line = |name: &str, value: &str| writeln!(out, "{name:<12} {}", printable(value));
    line("bundle", &program.to_string_lossy())?;
    for source in &provenance.sources {
        line("image", &source.reference)?;
        if let Some(manifest) = source.manifest {
            line("  manifest", &manifest.to_string())?;
        }
    }
    line("platform", &platform(&provenance.platform))?;
    for (name, key) in [("entrypoint", "Entrypoint"), ("command", "Cmd")] {
        line(name, &words(&config[key]))?;
    }
    for (name, key, default) in [("directory", "WorkingDir", "/"), ("user", "User", "root")] {
        let set = config[key].as_str().filter(|value| !value.is_empty());
        line(name, set.unwrap_or(default))?;
    }
    if !config["Healthcheck"].is_null() {
        line("healthcheck", "in the image, and never run")?;
    }
    line("digest", &payload.digest().to_string())?;
    line("layer", &layer.digest.to_string())?;
    line("  bytes", &layer.len.to_string())?;
    for transform in &provenance.transforms {
        let value = transform.value.as_deref().unwrap_or("");
        line("changed", &format!("{} {value}", transform.name))?;
    }
    line(
        "made by",
        &format!("{} {}", provenance.tool.name, provenance.tool.version),
    )
}

/// Writes one JSON object.
pub(crate) fn json(payload: &Payload, out: &mut dyn Write) -> io::Result<()> {
    let layer = payload.header().section(SectionKind::Layer);
    let description = json!({
        "digest": payload.digest().to_string(),
        "manifest": parse(payload.manifest()),
        "config": parse(payload.config()),
        "provenance": parse(&payload.provenance().to_json()),
        "layer": {
            "digest": layer.digest.to_string(),
            "size": layer.len,
            "diff_id": payload.diff_id().to_string(),
        },
    });
    writeln!(out, "{description:#}")
}

/// A document that the payload's reader has parsed before.
fn parse(document: &[u8]) -> Value {
    serde_json::from_slice(document).unwrap_or(Value::Null)
}

fn platform(platform: &Platform) -> String {
    let name = format!("{}/{}", platform.os, platform.architecture);
    platform
        .variant
        .as_ref()
        .map_or(name.clone(), |variant| format!("{name}/{variant}"))
}

/// A command as JSON: it shows where words end.
fn words(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Array(words) if words.is_empty() => "none".to_owned(),
        value => value.to_string(),
    }
}

/// `text` with control characters as escapes.
fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn terminal_sequences_are_written_out() {
        assert_eq!(printable("a\u{1b}[2Jb\u{9b}é"), "a\\u{1b}[2Jb\\u{9b}é");
    }
}
