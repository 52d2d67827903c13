package command

import "testing"

func TestEveryCommandSaysWhoMayGiveIt(t *testing.T) {
	for name := range table {
		if _, listed := rights[name]; !listed {
			t.Errorf("%s: got no row in the table of rights; want one", name)
		}
	}
}

func TestOperatorsCommandsAreTold(t *testing.T) {
	for name, want := range map[string]bool{
		"noop": false, "get_paths": false, "delete": false, "clear_cache": false, "get_devices": false,
		"create_domain": true, "set_state": true, "server_settings": true, "set_server_setting": true,
		"nosuch": false, "": false,
	} {
		if got := Administers(name); got != want {
			t.Errorf("%q: got %v; want %v", name, got, want)
		}
	}
}
