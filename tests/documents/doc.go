// Package documents holds what README, CONTRIBUTING, docs and packaging tell people to type
// against the program: every fenced block is checked, or says in a comment before it why not.
//
//	caddyfile  completed if it is a part, adapted by the real command, and run: listeners,
//	           paths, databases and other machines are replaced by private ones
//	sh         each command is one that is known; those of caddy, mogadm and make exist,
//	           with their options, and so do the files of the repository that are named
//	sql        run on a MariaDB that has the tables
//	json,yaml  parsed
//	text       what programs say; nothing to check
//
// A block that is none of these, or can't be run, has a comment on the line before it:
//
//	<!-- not run: what it stands for, or why it can't -->
//	<!-- grammar: a Caddyfile with <words> to be filled in -->
//
// Parts of a Caddyfile are completed by how they begin: with database, in a tracker block; with
// tracker or storage and a brace, in the global option; with anything but a brace or an
// address, in a site. A site whose edge names no tracker gets one.
//
// docs/spec is about other programs and is left alone.
package documents
