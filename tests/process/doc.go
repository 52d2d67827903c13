// Package process runs real Caddy processes for tests that cross rooms: it builds
// the command once, starts it with data of its own, waits until it answers, kills
// it, starts it again, and looks at its memory, descriptors and goroutines.
//
// A test calls [NewCluster] and gets one process with the three roles of the
// README's Caddyfile, on free ports and in a directory of its own. It uploads with
// [Cluster.Put], asks the tracker with [Cluster.Say], finds the copies on disk with
// [Cluster.Copies], pulls the plug with [Caddy.Kill] and calls [Caddy.Restart]. At
// the end the process is gone, and the test has failed if the log shows a panic or
// a data race.
//
// It reads /proc, so it works on Linux only. What outside processes do is waited
// for with [Eventually]; nothing else polls.
package process
