// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files that the host knows better than the image: `/etc/hostname`, `/etc/hosts`
//! and `/etc/resolv.conf`, mounted over the image's as docker does it.

use std::fmt::Write;

use crate::options::Options;

/// The host name when nobody says another.
pub(crate) const DEFAULT_HOSTNAME: &str = "elfuse";

/// Path and content of each file.
pub(crate) fn files(options: &Options, host_resolver: &str) -> [(&'static str, String); 3] {
    let name = options.hostname.as_deref();
    let name = name.map_or(DEFAULT_HOSTNAME.into(), String::from_utf8_lossy);
    [
        ("/etc/hostname", format!("{name}\n")),
        ("/etc/hosts", hosts(&name, options)),
        ("/etc/resolv.conf", resolver(options, host_resolver)),
    ]
}

fn hosts(name: &str, options: &Options) -> String {
    let mut text = String::from(
        "127.0.0.1\tlocalhost\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::\tip6-localnet\n\
         ff00::\tip6-mcastprefix\n\
         ff02::1\tip6-allnodes\n\
         ff02::2\tip6-allrouters\n",
    );
    for host in &options.hosts {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}\t{}", host.address, host.name);
    }
    if name != "localhost" {
        let _ = writeln!(text, "127.0.1.1\t{name}");
    }
    text
}

/// The host's own file, with what the options replace.
fn resolver(options: &Options, host: &str) -> String {
    let mut text = String::new();
    let is_kept = |line: &&str| {
        let word = line.split_whitespace().next().unwrap_or("");
        match word {
            _ if options.has_no_network => false,
            "nameserver" => options.name_servers.is_empty(),
            "search" | "domain" => options.search_domains.is_empty(),
            "options" | "sortlist" => true,
            _ => false,
        }
    };
    for line in host.lines().filter(is_kept) {
        let _ = writeln!(text, "{line}");
    }
    for address in &options.name_servers {
        let _ = writeln!(text, "nameserver {address}");
    }
    if !options.search_domains.is_empty() {
        let _ = writeln!(text, "search {}", options.search_domains.join(" "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::files;
    use crate::options::Options;
    use std::ffi::OsString;

    fn text(args: &[&str], path: &str) -> String {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let options = Options::default().and(&args).unwrap();
        let host = "# made by hand\nnameserver 9.9.9.9\nsearch a.example\noptions ndots:2\n";
        let mut files = files(&options, host).into_iter();
        files.find(|(name, _)| *name == path).unwrap().1
    }

    #[test]
    fn options_replace_what_the_host_says() {
        let plain = text(&[], "/etc/resolv.conf");
        assert_eq!(
            plain,
            "nameserver 9.9.9.9\nsearch a.example\noptions ndots:2\n"
        );
        let args = ["--dns", "1.1.1.1", "--dns-search", "b", "--dns-search", "c"];
        let changed = text(&args, "/etc/resolv.conf");
        assert_eq!(changed, "options ndots:2\nnameserver 1.1.1.1\nsearch b c\n");
    }

    #[test]
    fn names_are_in_hosts_and_hostname() {
        let args = [
            "--hostname",
            "box",
            "--add-host",
            "db:10.0.0.1",
            "--add-host",
            "six:[::2]",
        ];
        assert_eq!(text(&args, "/etc/hostname"), "box\n");
        let hosts = text(&args, "/etc/hosts");
        for line in ["10.0.0.1\tdb\n", "::2\tsix\n", "127.0.1.1\tbox\n"] {
            assert!(hosts.contains(line), "{hosts}");
        }
    }
}
