//go:build !linux

package disk

func openFS(path string) (FS, error) { return openPortable(path) }
