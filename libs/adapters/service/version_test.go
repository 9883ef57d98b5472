package service

import (
	"runtime/debug"
	"testing"
)

func TestDescribe(t *testing.T) {
	vcs := func(revision, modified string) []debug.BuildSetting {
		return []debug.BuildSetting{{Key: "vcs.revision", Value: revision}, {Key: "vcs.modified", Value: modified}}
	}
	tests := map[string]struct {
		info                        debug.BuildInfo
		linkedVersion, linkedCommit string
		version, revision           string
	}{
		"nothing known":   {version: "devel", revision: "unknown"},
		"built in a tree": {info: debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: vcs("abc", "true")}, version: "devel", revision: "abc-dirty"},
		"installed":       {info: debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: vcs("abc", "false")}, version: "v1.2.3", revision: "abc"},
		"release": {
			info: debug.BuildInfo{Main: debug.Module{Version: "v0.0.0-2026"}, Settings: vcs("abc", "true")}, linkedVersion: "v2.0.0", linkedCommit: "def",
			version: "v2.0.0", revision: "def",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			version, revision := describe(&test.info, test.linkedVersion, test.linkedCommit)
			if version != test.version || revision != test.revision {
				t.Errorf("got %s %s, want %s %s", version, revision, test.version, test.revision)
			}
		})
	}
}
