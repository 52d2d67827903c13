// Package sidechannel is the line protocol of a storage node's management port:
// sizes, digests and the utilisation of disks (docs/spec/storage-node.md §3).
//
// [Serve] takes a connection that was accepted, reads one line after the other,
// has [Parse] say what it means, asks the [Node], and writes the answer, in the
// order of the lines. After watch it only writes blocks, until either side ends.
//
// It opens no files, listens nowhere and can't change the node: the commands of the
// reference that reconfigure it are unknown here on purpose. Whether shutdown is known is
// the node's business.
package sidechannel
