// Package caddymodule is MogileFS as Caddy modules: the app mogilefs, which runs a
// tracker and storage nodes, and the handlers http.handlers.mogilefs (the edge)
// and http.handlers.mogilefs_storage. It is the only room that knows Caddy, and
// the place where edge, tracker and storage meet.
//
// A config's life: Provision reads and checks it and takes references to its
// long-lived parts out of the pool; App.Start opens those that no earlier config
// had opened, applies what the config declares and listens; a request to the
// handler mogilefs is turned into an edge request, which asks the tracker and
// the disks of this process through the adapters here. Cleanup gives the
// references back, and what nobody uses any more is closed.
//
// It makes no decision about files: that is what the rooms below are for.
package caddymodule
