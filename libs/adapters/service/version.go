package service

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
)

// Set by the linker: -X github.com/neap-project/neap/libs/adapters/service.version=v1.2.3
var (
	version  string
	revision string
)

// Version is the release this binary was built from, such as v1.2.3, or
// "devel" for a build outside a release.
func Version() string {
	v, _ := build()
	return v
}

// Revision is the commit this binary was built from, with "-dirty" after it if
// the tree held changes, or "unknown".
func Revision() string {
	_, r := build()
	return r
}

var build = sync.OnceValues(func() (string, string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo)
	}
	return describe(info, version, revision)
})

// describe prefers what the linker was told over what the toolchain recorded:
// release builds strip or override the latter.
func describe(info *debug.BuildInfo, version, revision string) (string, string) {
	module := info.Main.Version
	if module == "(devel)" {
		module = ""
	}
	settings := make(map[string]string, len(info.Settings))
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	commit := settings["vcs.revision"]
	if commit != "" && settings["vcs.modified"] == "true" {
		commit += "-dirty"
	}
	return cmp.Or(version, module, "devel"), cmp.Or(revision, commit, "unknown")
}

func versionLine(name string) string {
	return fmt.Sprintf("%s %s (revision %s, %s)", name, Version(), Revision(), runtime.Version())
}
