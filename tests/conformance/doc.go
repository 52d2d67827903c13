// Package conformance holds a storage node against docs/spec/storage-node.md, row by row.
//
// [github.com/mogilefs/caddy-mogilefs/tests/process] starts a Caddy with one node, and
// each row of sections 2 to 4 asks it over real connections, with bytes that are written
// out where a client of the standard library would correct them. Any other node can be
// asked the same:
//
//	go test -v ./tests/conformance -run TestNode -node http://10.0.0.5:7500 -management 10.0.0.5:7501 -device 1
//
// There, a row in which ours differs on purpose is told and does not fail. What was stored
// is deleted again; it has fids that no tracker has come to yet, and those that are taken
// all the same are left alone. Empty directories stay.
//
// The rows are also the page docs/storage-conformance.md, which -update writes.
package conformance
