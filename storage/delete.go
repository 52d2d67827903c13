package storage

import (
	"io/fs"
	"net/http"

	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

// delete removes a file. 204 and nothing else is success to a tracker that
// rebalances.
func (n *Node) delete(w http.ResponseWriter, t target) {
	switch {
	case t.kind == pathRoot:
		refuse(w, http.StatusForbidden, "Is a directory")
	case t.kind == pathBad:
		refuse(w, http.StatusBadRequest, "Invalid filename")
	case t.kind == pathForeign:
		refuse(w, http.StatusNotFound, "Not found")
	case t.kind == pathFile && t.name == usageName:
		refuse(w, http.StatusForbidden, "The node writes this file")
	default:
		n.deleteFile(w, t)
	}
}

func (n *Node) deleteFile(w http.ResponseWriter, t target) {
	d, err := n.devices.get(t.dev)
	switch {
	case err != nil:
	case t.kind == pathDir:
		err = refuseDir(d, t.name)
	default:
		err = d.Remove(t.name)
	}
	if err != nil {
		n.fail(w, t, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// refuseDir says what a path with a slash at its end is: a directory, or nothing.
func refuseDir(d *device, name string) error {
	f, err := d.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.IsDir() {
		return disk.ErrIsDir
	}
	return fs.ErrNotExist
}
