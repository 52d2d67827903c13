// Package client talks to trackers: ours, and those of MogileFS (their line protocol
// is docs/spec/tracker-protocol.md). The edge, the command line and Go programs use it.
//
// A request walks through it so: [Client.Do] writes the line and asks the trackers in
// the order of [Config].Addresses, passing over those that failed lately (health.go).
// A tracker lends a pooled connection, or opens one (pool.go), on which the line is
// written and the answer read (conn.go). When that fails and the request certainly
// was not carried out, or may be carried out twice (command.go), the next tracker is asked;
// otherwise the caller gets [ErrLost]. [Client.CloseUpload], [Client.Delete] and
// [Client.Rename] go on from there and find out what became of it.
//
//	c, err := client.New(client.Config{Addresses: []string{"10.0.0.1", "tls://tracker2.example.com"}})
//	…
//	defer c.Close()
//	loc, err := c.Locate(ctx, "images", "aqua.jpg", client.MainZone)
//
// It moves no bytes of files, remembers no answers, and speaks none of the operators' !
// commands.
package client
