// SPDX-License-Identifier: MIT OR Apache-2.0
//! Leaves paths out of the squashed tree.
//!
//! The built-in lists empty directories but keep them: programs expect
//! `/tmp` or `/usr/share/man/man1` to exist. A prefix the user names is removed
//! altogether. Links are not followed at the end of a path, so stripping never
//! reaches outside the named place.

use super::TransformError;
use crate::squash::{Name, Problem, Tree};

/// What `--strip`, `--strip-auto` and `--strip-prefix` ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strip {
    /// Documentation, manuals, translations, temporary files.
    pub docs: bool,
    /// Caches of the package managers found in the image.
    pub caches: bool,
    /// Paths named by the user, relative or absolute.
    pub prefixes: Vec<String>,
}

/// Emptied by `--strip`.
const DOCS: &[&str] = &[
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/i18n",
    "usr/share/gtk-doc",
    "usr/share/help",
    "usr/local/share/doc",
    "usr/local/share/man",
    "usr/local/share/info",
    "var/cache/apt",
    "var/lib/apt/lists",
    "tmp",
];

/// A package manager: any of these paths shows its presence, and these
/// directories are its caches.
struct Manager {
    markers: &'static [&'static str],
    caches: &'static [&'static str],
}

/// `--strip-auto`. Homes are root's and those of the usual unprivileged users
/// of official images.
const MANAGERS: &[Manager] = &[
    Manager {
        markers: &["var/lib/dpkg/status", "usr/bin/apt-get", "usr/bin/dpkg"],
        caches: &["var/cache/apt", "var/lib/apt/lists"],
    },
    Manager {
        markers: &[
            "sbin/apk",
            "usr/sbin/apk",
            "lib/apk/db/installed",
            "usr/lib/apk/db/installed",
        ],
        caches: &["var/cache/apk", "etc/apk/cache"],
    },
    Manager {
        markers: &[
            "usr/bin/pip3",
            "usr/bin/pip",
            "usr/local/bin/pip3",
            "usr/local/bin/pip",
        ],
        caches: &["root/.cache/pip", "home/app/.cache/pip"],
    },
    Manager {
        markers: &[
            "usr/bin/npm",
            "usr/local/bin/npm",
            "usr/lib/node_modules/npm",
        ],
        caches: &[
            "root/.npm/_cacache",
            "usr/lib/node_modules/.cache",
            "home/node/.npm/_cacache",
        ],
    },
    Manager {
        markers: &[
            "usr/bin/dnf",
            "usr/bin/yum",
            "usr/bin/microdnf",
            "var/lib/rpm/Packages",
            "var/lib/rpm/rpmdb.sqlite",
            "usr/lib/sysimage/rpm/rpmdb.sqlite",
        ],
        caches: &["var/cache/dnf", "var/cache/yum", "var/cache/libdnf5"],
    },
    Manager {
        markers: &["usr/bin/zypper"],
        caches: &["var/cache/zypp"],
    },
    Manager {
        markers: &["usr/bin/pacman"],
        caches: &["var/cache/pacman/pkg"],
    },
    Manager {
        markers: &["usr/bin/gem", "usr/local/bin/gem"],
        caches: &["root/.gem/cache", "var/cache/rubygems"],
    },
    Manager {
        markers: &["usr/local/go/bin/go", "usr/bin/go"],
        caches: &[
            "root/go/pkg/mod/cache",
            "home/go/pkg/mod/cache",
            "root/.cache/go-build",
        ],
    },
    Manager {
        markers: &["usr/local/cargo/bin/cargo", "root/.cargo/bin/cargo"],
        caches: &[
            "root/.cargo/registry/cache",
            "usr/local/cargo/registry/cache",
        ],
    },
];

impl Strip {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.docs && !self.caches && self.prefixes.is_empty()
    }

    /// Removes what was asked for and returns how many names went.
    ///
    /// # Errors
    /// For a prefix that is empty or contains `..`.
    pub fn apply(&self, tree: &mut Tree) -> Result<u64, TransformError> {
        let before = tree.count_names();
        if self.docs {
            DOCS.iter().for_each(|path| tree.empty(path.as_bytes()));
        }
        if self.caches {
            for manager in MANAGERS {
                if manager.markers.iter().any(|path| tree.has(path.as_bytes())) {
                    manager
                        .caches
                        .iter()
                        .for_each(|path| tree.empty(path.as_bytes()));
                }
            }
        }
        for prefix in &self.prefixes {
            tree.remove_path(prefix.as_bytes())
                .map_err(|problem| TransformError::Prefix {
                    prefix: Name(prefix.clone().into_bytes()),
                    problem,
                })?;
        }
        Ok(before - tree.count_names())
    }
}

impl Tree {
    /// Whether something has this path, parents walked through links.
    fn has(&self, path: &[u8]) -> bool {
        matches!(self.find(path), Ok(Some(_)))
    }

    /// Removes everything in a directory.
    fn empty(&mut self, path: &[u8]) {
        if let Ok(Some(node)) = self.find(path)
            && let Some(names) = self.names_mut(node)
        {
            names.clear();
        }
    }

    fn remove_path(&mut self, path: &[u8]) -> Result<(), Problem> {
        let parts = crate::squash::walk::split(path)?;
        let (name, dirs) = parts.split_last().ok_or(Problem::RootNotDir)?;
        if let Some(dir) = self.find_dir(dirs)? {
            self.remove(dir, name);
        }
        Ok(())
    }
}
