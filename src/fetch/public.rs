use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// What of IPv4 is not the public Internet: IANA's IPv4 Special-Purpose Address Registry (RFC 6890
/// §2.2.2, kept up to date by RFC 8190), where "Globally Reachable" is not true, and multicast.
/// The two anycast services within 192.0.0.0/24 are no web servers, so they go with their network.
const INSIDE_V4: [(Ipv4Addr, u32); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8), // this network, RFC 791; Linux takes 0.0.0.0 for loopback
    (Ipv4Addr::new(10, 0, 0, 0), 8), // private, RFC 1918
    (Ipv4Addr::new(100, 64, 0, 0), 10), // behind a carrier's NAT, RFC 6598
    (Ipv4Addr::new(127, 0, 0, 0), 8), // loopback, RFC 1122
    (Ipv4Addr::new(169, 254, 0, 0), 16), // link-local, RFC 3927; where clouds tell their secrets
    (Ipv4Addr::new(172, 16, 0, 0), 12), // private, RFC 1918
    (Ipv4Addr::new(192, 0, 0, 0), 24), // protocol assignments, RFC 6890
    (Ipv4Addr::new(192, 0, 2, 0), 24), // documentation, RFC 5737
    (Ipv4Addr::new(192, 88, 99, 0), 24), // 6to4 relays, RFC 7526
    (Ipv4Addr::new(192, 168, 0, 0), 16), // private, RFC 1918
    (Ipv4Addr::new(198, 18, 0, 0), 15), // benchmarking, RFC 2544
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation, RFC 5737
    (Ipv4Addr::new(203, 0, 113, 0), 24), // documentation, RFC 5737
    (Ipv4Addr::new(224, 0, 0, 0), 4), // multicast, RFC 5771
    (Ipv4Addr::new(240, 0, 0, 0), 4), // reserved, RFC 1112
    (Ipv4Addr::BROADCAST, 32),      // limited broadcast, RFC 8190
];

/// All that IANA has given out to be reached from everywhere (RFC 4291 §2.4). Outside of it lie the
/// unspecified address, loopback, IPv4-mapped and -compatible addresses, NAT64 for local use
/// (64:ff9b:1::/48, RFC 8215), discard (100::/64, RFC 6666), SRv6 (5f00::/16, RFC 9602), unique
/// local, link-local and site-local addresses, multicast, and what may be given a meaning yet.
const UNICAST_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What of it is not public all the same, IANA's IPv6 Special-Purpose Address Registry.
const INSIDE_V6: [(Ipv6Addr, u32); 4] = [
    // Protocol assignments, RFC 2928: Teredo, which wraps any IPv4 address, benchmarking, ORCHID.
    // Nothing there that is reachable is a web server.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation, RFC 3849
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),     // 6to4, wraps any IPv4 address, RFC 7526
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),     // documentation, RFC 9637
];

/// NAT64: how a host without IPv4 reaches one without IPv6, so it is as public as what it wraps
/// (RFC 6052 §3.1).
const NAT64: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// Whether an address is the same one from everywhere on the Internet, and one host's alone. What
/// is not leads into somebody's network, ours perhaps.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !INSIDE_V4.iter().any(|network| is_v4_in(address, *network)),
        IpAddr::V6(address) if is_v6_in(address, NAT64) => {
            let [.., a, b, c, d] = address.octets();
            is_public(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        }
        IpAddr::V6(address) => {
            is_v6_in(address, UNICAST_V6) && !INSIDE_V6.iter().any(|network| is_v6_in(address, *network))
        }
    }
}

/// Whether an address says by its form that it lies within a network. Names are looked up when they are
/// asked.
pub fn is_inside(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => !is_public(address.into()),
        Some(Host::Ipv6(address)) => !is_public(address.into()),
        Some(Host::Domain(name)) => !name.trim_end_matches('.').contains('.') || name.ends_with(".localhost"),
        None => true,
    }
}

fn is_v4_in(address: Ipv4Addr, (network, bits): (Ipv4Addr, u32)) -> bool {
    (address.to_bits() ^ network.to_bits()).leading_zeros() >= bits
}

fn is_v6_in(address: Ipv6Addr, (network, bits): (Ipv6Addr, u32)) -> bool {
    (address.to_bits() ^ network.to_bits()).leading_zeros() >= bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn public(address: &str) -> bool {
        is_public(address.parse().unwrap())
    }

    #[test]
    fn every_network_ends_where_the_registry_says() {
        // Before it, its first and last address, behind it; and what the neighbours are.
        for (before, first, last, behind) in [
            (None, "0.0.0.0", "0.255.255.255", Some(("1.0.0.0", true))),
            (Some(("9.255.255.255", true)), "10.0.0.0", "10.255.255.255", Some(("11.0.0.0", true))),
            (Some(("100.63.255.255", true)), "100.64.0.0", "100.127.255.255", Some(("100.128.0.0", true))),
            (Some(("126.255.255.255", true)), "127.0.0.0", "127.255.255.255", Some(("128.0.0.0", true))),
            (Some(("169.253.255.255", true)), "169.254.0.0", "169.254.255.255", Some(("169.255.0.0", true))),
            (Some(("172.15.255.255", true)), "172.16.0.0", "172.31.255.255", Some(("172.32.0.0", true))),
            (Some(("191.255.255.255", true)), "192.0.0.0", "192.0.0.255", Some(("192.0.1.0", true))),
            (Some(("192.0.1.255", true)), "192.0.2.0", "192.0.2.255", Some(("192.0.3.0", true))),
            (Some(("192.88.98.255", true)), "192.88.99.0", "192.88.99.255", Some(("192.88.100.0", true))),
            (Some(("192.167.255.255", true)), "192.168.0.0", "192.168.255.255", Some(("192.169.0.0", true))),
            (Some(("198.17.255.255", true)), "198.18.0.0", "198.19.255.255", Some(("198.20.0.0", true))),
            (Some(("198.51.99.255", true)), "198.51.100.0", "198.51.100.255", Some(("198.51.101.0", true))),
            (Some(("203.0.112.255", true)), "203.0.113.0", "203.0.113.255", Some(("203.0.114.0", true))),
            (Some(("223.255.255.255", true)), "224.0.0.0", "239.255.255.255", Some(("240.0.0.0", false))),
            (Some(("239.255.255.255", false)), "240.0.0.0", "255.255.255.255", None),
            // ::, ::1, IPv4-compatible and IPv4-mapped are the first 96 bits of nothing.
            (None, "::", "::ffff:ffff", Some(("::1:0:0", false))),
            (Some(("::fffe:ffff:ffff", false)), "::ffff:0.0.0.0", "::ffff:255.255.255.255", None),
            (
                Some(("64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", false)),
                "64:ff9b::10.0.0.0",
                "64:ff9b::10.255.255.255",
                Some(("64:ff9b::11.0.0.0", true)),
            ),
            (Some(("64:ff9b::9.255.255.255", true)), "64:ff9b::a00:0", "64:ff9b::10.0.0.1", None),
            (Some(("64:ff9b::fffe:ffff", false)), "64:ff9b::ffff:ffff", "64:ff9b:0:0:0:1::", None),
            (None, "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", Some(("64:ff9b:2::", false))),
            (None, "100::", "100:0:0:1:ffff:ffff:ffff:ffff", None),
            (None, "1fff::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some(("2000::", true))),
            (
                Some(("2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true)),
                "2001::",
                "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
                Some(("2001:200::", true)),
            ),
            (
                Some(("2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", true)),
                "2001:db8::",
                "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
                Some(("2001:db9::", true)),
            ),
            (
                Some(("2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true)),
                "2002::",
                "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                Some(("2003::", true)),
            ),
            (
                Some(("3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true)),
                "3fff::",
                "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
                Some(("3fff:1000::", true)),
            ),
            (Some(("3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true)), "4000::", "5f00::", None),
            (None, "5f00::1", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
            (None, "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
            (None, "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
            (None, "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
            (None, "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
        ] {
            assert!(!public(first) && !public(last), "{first} to {last}");
            for (neighbour, is) in before.into_iter().chain(behind) {
                assert_eq!(public(neighbour), is, "{neighbour}, next to {first} to {last}");
            }
        }
    }

    #[test]
    fn servers_of_the_web_are_public() {
        for address in ["8.8.8.8", "123.30.1.1", "2606:4700::1111", "2400:cb00::1", "64:ff9b::8.8.8.8"] {
            assert!(public(address), "{address}");
        }
        for inside in ["::1", "::127.0.0.1", "::ffff:8.8.8.8", "2002:7f00:1::", "2001:0:7f00:1::1", "::"] {
            assert!(!public(inside), "{inside}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_language_knows_to_be_inside_is(bits: u32, wide: u128) {
            let v4 = Ipv4Addr::from_bits(bits);
            if v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast()
                || v4.is_broadcast() || v4.is_documentation() || v4.is_unspecified()
            {
                prop_assert!(!is_public(v4.into()));
            }
            prop_assert!(!is_public(v4.to_ipv6_mapped().into()) && !is_public(v4.to_ipv6_compatible().into()));
            let v6 = Ipv6Addr::from_bits(wide);
            if v6.is_loopback() || v6.is_multicast() || v6.is_unique_local() || v6.is_unicast_link_local() {
                prop_assert!(!is_public(v6.into()));
            }
        }
    }
}
