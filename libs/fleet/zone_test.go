package fleet_test

import (
	"archive/zip"
	"bytes"
	"flag"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // for machines without a zone database

	"github.com/neap-project/neap/libs/fleet"
)

var updateZones = flag.Bool("update-zones", false, "make zones.txt anew from the zone database of the Go tool chain")

// TestZones compares windows of every hour with the zone database, through a year with its
// changes to and from daylight saving time, north and south of the equator.
func TestZones(t *testing.T) {
	if *updateZones {
		writeZones(t)
	}
	begin := time.Date(2026, 1, 1, 0, 30, 0, 0, time.UTC)
	for _, name := range []string{
		"UTC", "Europe/Berlin", "Europe/London", "Europe/Dublin", "America/New_York", "America/Los_Angeles", "America/Sao_Paulo",
		"Asia/Kolkata", "Asia/Tokyo", "Asia/Kathmandu", "Australia/Sydney", "Australia/Lord_Howe", "Pacific/Auckland", "America/St_Johns",
	} {
		zone := must(time.LoadLocation(name))
		for at := begin; at.Year() == begin.Year(); at = at.Add(time.Hour) {
			local := at.In(zone)
			w := fleet.WeekWindow{Days: days(local.Weekday()), From: clock(local), To: clock(local.Add(time.Minute)), TimeZone: name}
			if !w.Holds(at) {
				t.Errorf("%s: %s does not hold at %s, %s there", name, w.String(), at.Format(time.RFC3339), local)
				break
			}
		}
	}
}

func days(d time.Weekday) []fleet.Weekday {
	return []fleet.Weekday{fleet.Weekday(strings.ToLower(d.String()[:3]))}
}

func clock(t time.Time) fleet.TimeOfDay { return fleet.TimeOfDay(t.Format("15:04")) }

// writeZones takes the rules from the last lines of the zone files.
func writeZones(t *testing.T) {
	root := must(exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output())
	r, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	names := map[string][]string{}
	for _, f := range r.File {
		body := must(io.ReadAll(must(f.Open())))
		lines := bytes.Split(bytes.TrimSuffix(body, []byte("\n")), []byte("\n"))
		rule := string(lines[len(lines)-1])
		if bytes.HasPrefix(body, []byte("TZif")) && rule[0] != '-' && f.Name != "Factory" { // these stand for "no zone"
			names[rule] = append(names[rule], f.Name)
		}
	}
	var b bytes.Buffer
	for _, rule := range slices.Sorted(maps.Keys(names)) {
		b.WriteString(rule + " " + strings.Join(names[rule], " ") + "\n")
	}
	if err := os.WriteFile("zones.txt", b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
