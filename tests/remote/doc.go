// Package remote holds an edge to what it promises when its trackers are other processes:
// the tracker, the storage node and the edge run each for itself, and the edge is given a
// dead address before the live one.
//
// The node enters itself in the tracker. Each test uploads through the edge; then trackers
// are stopped, killed and started, files are changed behind the edge's back, and what
// comes back over HTTP is compared.
package remote
