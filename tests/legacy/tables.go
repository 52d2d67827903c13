package legacy

const (
	fid   = "BIGINT UNSIGNED NOT NULL"
	small = "SMALLINT UNSIGNED NOT NULL"
	tiny  = "TINYINT UNSIGNED NOT NULL"
	whole = "INT UNSIGNED NOT NULL"
	count = "TINYINT UNSIGNED NOT NULL DEFAULT 0"
	flags = "SMALLINT UNSIGNED NOT NULL DEFAULT 0"
	devid = "MEDIUMINT UNSIGNED NOT NULL"
)

// tables are those of docs/spec/schema.md §1, with the versions of §3.
var tables = []table{
	{
		name:    "domain",
		columns: []column{{name: "dmid", kind: small}, {name: "namespace", kind: "VARCHAR(255)"}},
		keys:    []string{"PRIMARY KEY (dmid)", "UNIQUE namespace (namespace)"},
	},
	{
		name: "class",
		columns: []column{
			{name: "dmid", kind: small},
			{name: "classid", kind: tiny},
			{name: "classname", kind: "VARCHAR(50)"},
			{name: "mindevcount", kind: tiny},
			{name: "hashtype", kind: "TINYINT UNSIGNED", since: 15},
			{name: "replpolicy", kind: "VARCHAR(255)", since: 10},
		},
		keys: []string{"PRIMARY KEY (dmid, classid)", "UNIQUE dmid (dmid, classname)"},
	},
	{
		name: "file",
		columns: []column{
			{name: "fid", kind: fid},
			{name: "dmid", kind: small},
			{name: "dkey", kind: "VARCHAR(255)"},
			{name: "length", kind: "BIGINT UNSIGNED"},
			{name: "classid", kind: tiny},
			{name: "devcount", kind: tiny},
		},
		keys:    []string{"PRIMARY KEY (fid)", "UNIQUE dkey (dmid, dkey)"},
		indexes: []index{{name: "devcount", columns: "dmid, classid, devcount", postgres: "file_devcount"}},
	},
	{
		name: "tempfile",
		columns: []column{
			{name: "fid", kind: fid + " AUTO_INCREMENT"},
			{name: "createtime", kind: whole},
			{name: "classid", kind: tiny},
			{name: "dmid", kind: small},
			{name: "dkey", kind: "VARCHAR(255)"},
			{name: "devids", kind: "VARCHAR(60)"},
		},
		keys: []string{"PRIMARY KEY (fid)"},
	},
	{
		name:    "file_on",
		columns: []column{{name: "fid", kind: fid}, {name: "devid", kind: devid}},
		keys:    []string{"PRIMARY KEY (fid, devid)"},
		indexes: []index{{name: "devid", columns: "devid", postgres: "file_on_devid"}},
	},
	{
		name:    "file_on_corrupt",
		columns: []column{{name: "fid", kind: fid}, {name: "devid", kind: devid}},
		keys:    []string{"PRIMARY KEY (fid, devid)"},
		unused:  true,
	},
	{
		name:    "file_to_delete",
		columns: []column{{name: "fid", kind: fid}},
		keys:    []string{"PRIMARY KEY (fid)"},
	},
	{
		name: "file_to_delete_later", since: 7,
		columns: []column{{name: "fid", kind: fid}, {name: "delafter", kind: whole}},
		keys:    []string{"PRIMARY KEY (fid)"},
		indexes: []index{{name: "delafter", columns: "delafter", postgres: "file_to_delete_later_delafter"}},
	},
	{
		name: "file_to_delete2", since: 12,
		columns: []column{{name: "fid", kind: fid}, {name: "nexttry", kind: whole}, {name: "failcount", kind: count}},
		keys:    []string{"PRIMARY KEY (fid)"},
		indexes: []index{{name: "nexttry", columns: "nexttry", postgres: "file_to_delete2_nexttry"}},
	},
	{
		name:    "unreachable_fids",
		columns: []column{{name: "fid", kind: fid}, {name: "lastupdate", kind: whole}},
		keys:    []string{"PRIMARY KEY (fid)"},
		indexes: []index{{name: "lastupdate", columns: "lastupdate", postgres: "unreachable_fids_lastupdate"}},
		unused:  true,
	},
	{
		name: "host",
		columns: []column{
			{name: "hostid", kind: devid},
			{
				name: "status", kind: "ENUM('alive','dead','down','readonly')",
				since: 17, was: "ENUM('alive','dead','down')",
			},
			{name: "http_port", kind: "MEDIUMINT UNSIGNED DEFAULT 7500"},
			{name: "http_get_port", kind: "MEDIUMINT UNSIGNED"},
			{name: "hostname", kind: "VARCHAR(40)"},
			{name: "hostip", kind: "VARCHAR(15)"},
			{name: "altip", kind: "VARCHAR(15)"},
			{name: "altmask", kind: "VARCHAR(18)"},
		},
		keys: []string{"PRIMARY KEY (hostid)", "UNIQUE (hostname)", "UNIQUE (hostip)", "UNIQUE (altip)"},
	},
	{
		name: "device",
		columns: []column{
			{name: "devid", kind: devid},
			{name: "hostid", kind: devid},
			{
				name: "status", kind: "ENUM('alive','dead','down','readonly','drain')",
				since: 9, was: "ENUM('alive','dead','down','readonly')",
			},
			{name: "weight", kind: "MEDIUMINT DEFAULT 100"},
			{name: "mb_total", kind: "INT UNSIGNED", since: 14, was: "MEDIUMINT UNSIGNED"},
			{name: "mb_used", kind: "INT UNSIGNED", since: 14, was: "MEDIUMINT UNSIGNED"},
			{name: "mb_asof", kind: "INT UNSIGNED"},
		},
		keys:    []string{"PRIMARY KEY (devid)"},
		indexes: []index{{name: "status", columns: "status", postgres: "device_status"}},
	},
	{
		name: "server_settings",
		columns: []column{
			{name: "field", kind: "VARCHAR(50) NOT NULL"},
			{name: "value", kind: "TEXT", since: 13, was: "VARCHAR(255)"},
		},
		keys: []string{"PRIMARY KEY (field)"},
	},
	{
		name: "file_to_replicate", since: 6,
		columns: []column{
			{name: "fid", kind: fid},
			{name: "nexttry", kind: whole},
			{name: "fromdevid", kind: "INT UNSIGNED"},
			{name: "failcount", kind: count},
			{name: "flags", kind: flags},
		},
		keys:    []string{"PRIMARY KEY (fid)"},
		indexes: []index{{name: "nexttry", columns: "nexttry", postgres: "file_to_replicate_nexttry"}},
	},
	{
		name: "file_to_queue", since: 11,
		columns: []column{
			{name: "fid", kind: fid},
			{name: "devid", kind: "INT UNSIGNED"},
			{name: "type", kind: tiny},
			{name: "nexttry", kind: whole},
			{name: "failcount", kind: count},
			{name: "flags", kind: flags},
			{name: "arg", kind: "TEXT", since: 13, was: "VARCHAR(255)"},
		},
		keys:    []string{"PRIMARY KEY (fid, type)"},
		indexes: []index{{name: "type_nexttry", columns: "type, nexttry", postgres: "type_nexttry"}},
	},
	{
		name: "fsck_log", since: 8,
		columns: []column{
			{name: "logid", kind: whole + " AUTO_INCREMENT"},
			{name: "utime", kind: whole},
			{name: "fid", kind: "BIGINT UNSIGNED"},
			{name: "evcode", kind: "CHAR(4)"},
			{name: "devid", kind: "MEDIUMINT UNSIGNED"},
		},
		keys:    []string{"PRIMARY KEY (logid)"},
		indexes: []index{{name: "utime", columns: "utime", postgres: "fsck_log_utime"}},
	},
	{
		name: "checksum", since: 15,
		columns: []column{{name: "fid", kind: fid}, {name: "hashtype", kind: tiny}, {name: "checksum", kind: "VARBINARY(64) NOT NULL"}},
		keys:    []string{"PRIMARY KEY (fid)"},
	},
}
