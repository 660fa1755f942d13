// SPDX-License-Identifier: MIT OR Apache-2.0
//! The image config and manifest that go into a bundle.
//!
//! The source's config is kept as it is, fields this program does not know
//! included; only what the squash changes (`rootfs`, `history`) and what the user
//! overrides is replaced. Keys are sorted, so equal input gives equal bytes.

use elfuse_payload::Digest;
use elfuse_payload::layer::LayerSummary;
use serde_json::{Map, Value, json};

/// Settings of the image config that the user replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--entrypoint`: replaces Entrypoint and clears Cmd, as docker does.
    pub entrypoint: Option<Vec<String>>,
    /// `--cmd`: replaces Cmd.
    pub cmd: Option<Vec<String>>,
    /// `-e K=V`: added to Env, or replacing the variable of that name.
    pub env: Vec<(String, String)>,
    /// `--workdir`.
    pub workdir: Option<String>,
    /// `--user`.
    pub user: Option<String>,
    /// `--label K=V`.
    pub labels: Vec<(String, String)>,
}

/// The config of the squashed image.
///
/// # Errors
/// The source's config is not a JSON object.
pub(super) fn config(
    source: &[u8],
    overrides: &Overrides,
    layer: &LayerSummary,
) -> Result<Vec<u8>, serde_json::Error> {
    let mut root: Map<String, Value> = serde_json::from_slice(source)?;
    let ids = json!({"type": "layers", "diff_ids": [layer.diff_id.to_string()]});
    root.insert("rootfs".into(), ids);
    // It described layers that are now one.
    root.remove("history");
    let settings = root.entry("config").or_insert_with(|| json!({}));
    if settings.is_null() {
        *settings = json!({});
    }
    if let Value::Object(settings) = settings {
        apply(settings, overrides);
    }
    serde_json::to_vec(&root)
}

fn apply(settings: &mut Map<String, Value>, overrides: &Overrides) {
    if let Some(entrypoint) = &overrides.entrypoint {
        settings.insert("Entrypoint".into(), json!(entrypoint));
        settings.remove("Cmd");
    }
    if let Some(cmd) = &overrides.cmd {
        settings.insert("Cmd".into(), json!(cmd));
    }
    if let Some(workdir) = &overrides.workdir {
        settings.insert("WorkingDir".into(), json!(workdir));
    }
    if let Some(user) = &overrides.user {
        settings.insert("User".into(), json!(user));
    }
    if !overrides.env.is_empty() {
        let old = settings
            .get("Env")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        settings.insert("Env".into(), merge_env(old, &overrides.env));
    }
    for (name, value) in &overrides.labels {
        let labels = settings.entry("Labels").or_insert_with(|| json!({}));
        if labels.is_null() {
            *labels = json!({});
        }
        labels[name] = json!(value);
    }
}

/// Variables keep their place; new ones come last.
fn merge_env(old: Vec<Value>, new: &[(String, String)]) -> Value {
    let mut merged = old;
    for (name, value) in new {
        let line = json!(format!("{name}={value}"));
        let has_name = |v: &&mut Value| {
            v.as_str()
                .and_then(|v| v.split_once('='))
                .is_some_and(|(n, _)| n == name)
        };
        match merged.iter_mut().find(has_name) {
            Some(place) => *place = line,
            None => merged.push(line),
        }
    }
    Value::Array(merged)
}

/// The manifest of the squashed image.
#[must_use]
pub(super) fn manifest(config: &[u8], layer: &LayerSummary) -> Vec<u8> {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": Digest::of(config).to_string(),
            "size": config.len(),
        },
        "layers": [{
            "mediaType": elfuse_payload::layer::MEDIA_TYPE,
            "digest": layer.digest.to_string(),
            "size": layer.size,
        }],
    });
    manifest.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer() -> LayerSummary {
        LayerSummary {
            digest: Digest::of(b"blob"),
            size: 4,
            diff_id: Digest::of(b"tar"),
            tar_size: 3,
        }
    }

    fn edited(source: &str, overrides: &Overrides) -> Value {
        let bytes = config(source.as_bytes(), overrides, &layer()).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn unknown_fields_stay_and_history_goes() {
        let source = r#"{"os":"linux","x-new":[1],"history":[{}],"config":{"Zeta":1}}"#;
        let config = edited(source, &Overrides::default());
        assert_eq!(config["x-new"], json!([1]));
        assert_eq!(config["config"]["Zeta"], json!(1));
        assert!(config.get("history").is_none());
        assert_eq!(
            config["rootfs"]["diff_ids"],
            json!([Digest::of(b"tar").to_string()])
        );
    }

    #[test]
    fn entrypoint_clears_cmd_unless_it_is_given() {
        let source = r#"{"config":{"Entrypoint":["a"],"Cmd":["b"]}}"#;
        let mut overrides = Overrides {
            entrypoint: Some(vec!["c".into()]),
            ..Overrides::default()
        };
        let settings = edited(source, &overrides)["config"].clone();
        assert_eq!(settings, json!({"Entrypoint": ["c"]}));
        overrides.cmd = Some(vec!["d".into()]);
        assert_eq!(edited(source, &overrides)["config"]["Cmd"], json!(["d"]));
    }

    #[test]
    fn env_replaces_in_place_and_appends() {
        let source = r#"{"config":{"Env":["A=1","B=2"]}}"#;
        let env = vec![("A".into(), "x=y".into()), ("C".into(), "3".into())];
        let settings = edited(
            source,
            &Overrides {
                env,
                ..Overrides::default()
            },
        );
        assert_eq!(settings["config"]["Env"], json!(["A=x=y", "B=2", "C=3"]));
    }

    #[test]
    fn null_config_is_an_empty_one() {
        let labels = vec![("k".into(), "v".into())];
        let config = edited(
            r#"{"config":null}"#,
            &Overrides {
                labels,
                ..Overrides::default()
            },
        );
        assert_eq!(config["config"]["Labels"], json!({"k": "v"}));
    }
}
