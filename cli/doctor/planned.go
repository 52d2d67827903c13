package doctor

import (
	"context"
	"net"
	"net/netip"
	"strings"
)

// planned judges a configuration.
func planned(ctx context.Context, p *Plan) report {
	var r report
	if p.Refused != nil {
		r.fail("configuration", "correct it; nothing below can be relied on until Caddy takes it", "refused: %v", p.Refused)
	} else {
		r.ok("configuration", "Caddy takes it")
	}
	if p.Admin.Beyond {
		r.fail("Caddy's admin endpoint", "whoever reaches it controls this process: let it listen on localhost or a Unix socket",
			"listens for other machines, on %s", p.Admin.Address)
	}
	if p.Superuser && len(p.Nodes) > 0 {
		r.warn("rights", "run it as the user of the service, as in sudo -u caddy, to see whether that one may write", "root may write everywhere")
	}
	if p.Tracker != nil {
		r.tracker(*p.Tracker)
		r = append(r, aboutDatabase(ctx, p.Tracker.Database)...)
	}
	for _, n := range p.Nodes {
		r.node(n, p.Sites)
		r = append(r, aboutDisks(n)...)
	}
	for _, s := range p.Sites {
		r.site(s)
	}
	return r
}

// tracker judges who reaches the tracker: its protocol has no users.
func (r *report) tracker(t Tracker) {
	for _, l := range t.Listen {
		about := "tracker on " + l.Address
		switch {
		case !l.Beyond:
			r.ok(about, "only this machine reaches it")
		case everybody(t.AdminAllow):
			r.fail(about, "name the machines that may administer in admin_allow", "everybody may administer it")
		case everybody(t.Allow) && !(l.TLS && t.ClientCertificates):
			r.fail(about, "name the networks of the clients in allow, or let them show certificates (tls://, client_auth)",
				"everybody may read, store and delete through it")
		case len(t.Allow)+len(t.AdminAllow) == 0:
			r.warn(about, "say who may connect, for example allow private_ranges", "it listens for other machines and lets none of them in")
		default:
			r.ok(about, "lets in %s", ranges(append(t.Allow[:len(t.Allow):len(t.Allow)], t.AdminAllow...)))
		}
	}
}

// everybody reports whether ranges hold all addresses.
func everybody(list []netip.Prefix) bool {
	for _, p := range list {
		if p.Bits() == 0 {
			return true
		}
	}
	return false
}

func ranges(list []netip.Prefix) string {
	var words []string
	for _, p := range list {
		words = append(words, p.String())
	}
	return strings.Join(words, " ")
}

// node judges a storage node's own words, and whether a site serves it.
func (r *report) node(n Node, sites []Site) {
	about := "storage " + n.Name
	if !n.Durable {
		r.warn(about, "leave durable on, unless files that were acknowledged may be lost in a power failure",
			"durable off: it answers before bytes are on disk")
	}
	if n.Management.Beyond {
		r.warn(about, "let a firewall admit only trackers to it: it tells sizes and checksums to everybody",
			"its side channel listens for other machines, on %s", n.Management.Address)
	}
	if everybody(n.WriteFrom) {
		r.fail(about, "name the networks of trackers, edges and clients in write_from", "everybody may store and delete on it")
	}
	r.served(n, sites)
}

// served judges whether others find the node where its address says.
func (r *report) served(n Node, sites []Site) {
	about := "site of storage " + n.Name
	_, port, _ := net.SplitHostPort(n.Address)
	var found *Site
	atPort, beyond := false, ""
	for i, s := range sites {
		if s.Node != n.Name {
			continue
		}
		found = &sites[i]
		for _, l := range s.Listen {
			_, p, err := net.SplitHostPort(l.Address)
			atPort = atPort || err != nil || p == port // a socket may be passed on from any port
			if l.Beyond {
				beyond = l.Address
			}
		}
	}
	switch {
	case found == nil:
		r.fail(about, "add a site with mogilefs_storage "+n.Name+", bound to the address "+n.Address, "there is none: nobody reaches the node")
	case !atPort:
		r.warn(about, "let it listen there, or make address the place where others reach it", "no site of it listens on the port of its address, %s", n.Address)
	case len(found.Hosts) > 0:
		r.warn(about, "give it an address without a host, such as http://:7500, and bind", "only requests that name %s reach it, and old clients name none",
			strings.Join(found.Hosts, ", "))
	case beyond != "" && n.ReadAll:
		r.warn(about, "name the networks of trackers and edges in read_from, or let a firewall admit only them",
			"whoever reaches %s may read every file", beyond)
	default:
		r.ok(about, "there is one on %s", n.Address)
	}
}

// site judges an edge.
func (r *report) site(s Site) {
	if s.Node != "" || !s.Changes {
		return
	}
	var where []string
	for _, l := range s.Listen {
		if l.Beyond {
			where = append(where, l.Address)
		}
	}
	about := "edge"
	switch {
	case len(where) == 0:
		r.ok(about, "only this machine may upload and delete")
	case s.Guarded:
		r.ok(about, "uploads and deletions are asked who they are first")
	default:
		r.warn(about, "ask who it is before mogilefs (basic_auth, forward_auth, signed, mutual TLS), match a network with remote_ip, or leave methods at GET",
			"whoever reaches %s may upload or delete", strings.Join(where, ", "))
	}
}
