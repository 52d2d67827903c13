// Package endtoend holds one real process, with all three roles in it, to what
// users and clients see: HTTP on the public site, copies on disk, the tracker's
// lines.
//
// Each test starts a cluster (package process), uploads through the edge, and
// compares what comes back over HTTP with what lies on both devices. Deletions end
// with empty devices, bad input with a process that goes on serving.
//
// Crashes are package crash, reloads package reload.
package endtoend
