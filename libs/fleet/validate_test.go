package fleet_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

func TestSnapshotValidate(t *testing.T) {
	tests := map[string]struct {
		spoil func(*fleet.Snapshot)
		says  string
	}{
		"instance twice":         {func(s *fleet.Snapshot) { s.Instances[1].ID = "i-2" }, "stands twice"},
		"no instance ID":         {func(s *fleet.Snapshot) { s.Instances[0].ID = "" }, "is empty"},
		"unknown status":         {func(s *fleet.Snapshot) { s.Instances[0].Status = "odd" }, `"odd" is unknown`},
		"task on no instance":    {func(s *fleet.Snapshot) { s.Tasks[0].Instance = 9 }, "index 9 of 3 instances"},
		"task of no group":       {func(s *fleet.Snapshot) { s.Tasks[0].Group = -1 }, "index -1 of 2"},
		"attribute set missing":  {func(s *fleet.Snapshot) { s.Instances[0].Attributes = 7 }, "index 7 of 2"},
		"negative needs":         {func(s *fleet.Snapshot) { s.TaskGroups[0].Needs.CPUUnits = -1 }, "negative"},
		"overflowing needs":      {func(s *fleet.Snapshot) { s.TaskGroups[0].Needs.MemoryMiB = 1 << 62 }, "beyond any instance"},
		"ports out of order":     {func(s *fleet.Snapshot) { p := s.Instances[0].UsedPorts; p[0], p[1] = p[1], p[0] }, "not in order"},
		"negative price":         {func(s *fleet.Snapshot) { s.Types[0].OnDemand = -1 }, "no price"},
		"type without size":      {func(s *fleet.Snapshot) { s.Types[0].VCPUs = 0 }, "0 vCPU"},
		"desired below zero":     {func(s *fleet.Snapshot) { s.Services[0].Desired = -1 }, "-1 is no number"},
		"no time":                {func(s *fleet.Snapshot) { s.TakenAt = time.Time{} }, "no plausible time"},
		"taken before read":      {func(s *fleet.Snapshot) { s.TakenAt = s.ReadStartedAt.Add(-time.Second) }, "is before"},
		"generation zero":        {func(s *fleet.Snapshot) { s.Generation = 0 }, "count from 1"},
		"hostile cluster name":   {func(s *fleet.Snapshot) { s.Cluster = "a.>" }, "cluster name"},
		"unknown section":        {func(s *fleet.Snapshot) { s.Sections[0].Name = "weather" }, `"weather" is unknown`},
		"deployment of no group": {func(s *fleet.Snapshot) { s.Services[0].Deployments[0].Group = 2 }, "index 2 of 2"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := exampleSnapshot()
			if err := s.Validate(); err != nil {
				t.Fatalf("the example itself: %v", err)
			}
			test.spoil(&s)
			wantInvalid(t, s.Validate(), test.says)
		})
	}
}

func TestPolicyValidate(t *testing.T) {
	number := func(n int) *int { return &n }
	tests := map[string]struct {
		spoil func(*fleet.Policy)
		says  string
	}{
		"no maximum":            {func(p *fleet.Policy) { p.Limits.MaxInstances = 0 }, "limits.maxInstances: 0; set"},
		"minimum above maximum": {func(p *fleet.Policy) { p.Limits.MinInstances = 51 }, "limits.minInstances: 51; use 0 to limits.maxInstances (50)"},
		"no launch spec":        {func(p *fleet.Policy) { p.LaunchSpecs = nil }, "launchSpecs: none"},
		"no subnet":             {func(p *fleet.Policy) { p.LaunchSpecs[0].Subnets = nil; p.LaunchSpecs[1].Subnets = nil }, "launchSpecs[0].subnets: none"},
		"no image":              {func(p *fleet.Policy) { p.LaunchSpecs[0].Images = nil }, "launchSpecs[0].images: none"},
		"same name":             {func(p *fleet.Policy) { p.LaunchSpecs[1].Name = "default" }, `"default" stands twice`},
		"percentage of 101":     {func(p *fleet.Policy) { p.ScaleDown.MaxPercentage = 101 }, "scaleDown.maxPercentage: 101"},
		"spot of 120":           {func(p *fleet.Policy) { p.LaunchSpecs[0].SpotPercentage = number(120) }, "spotPercentage: 120"},
		"bad pattern":           {func(p *fleet.Policy) { p.LaunchSpecs[0].Types.Allow = []string{"m7["} }, `pattern "m7["`},
		"empty unit":            {func(p *fleet.Policy) { p.Headroom.Units[0] = fleet.HeadroomUnit{Count: 1} }, "has no size"},
		"unit elsewhere":        {func(p *fleet.Policy) { p.Headroom.Units[0].LaunchSpec = "gpu" }, `"gpu" is no launch spec`},
		"no such surge":         {func(p *fleet.Policy) { p.ScaleUp.Surge = "some" }, `scaleUp.surge: "some" is unknown; use one of ["full" "progress"]`},
		"gives up at once":      {func(p *fleet.Policy) { p.ScaleUp.GiveUpAfter = 1 }, "scaleUp.giveUpAfter: 1ns; use 10m0s"},
		"negative cooldown":     {func(p *fleet.Policy) { p.ScaleUp.Cooldown = -1 }, "scaleUp.cooldown: -1ns; use 0s to"},
		"no such orientation":   {func(p *fleet.Policy) { p.LaunchSpecs[0].Orientation = "cheap" }, `orientation: "cheap" is unknown`},
		"bad preferred type":    {func(p *fleet.Policy) { p.LaunchSpecs[0].PreferredTypes = []string{" "} }, `preferredTypes: pattern " "`},
		"negative spec limit":   {func(p *fleet.Policy) { p.LaunchSpecs[0].MaxVCPUs = -1 }, "maxVCPUs -1"},
		"family with a size":    {func(p *fleet.Policy) { p.LaunchSpecs[0].Types.Families = []string{"m7i.*"} }, `families: "m7i.*" is a type; write the family alone`},
		"no such category":      {func(p *fleet.Policy) { p.LaunchSpecs[0].Types.Categories = []fleet.Category{"cheap"} }, `categories: "cheap" is unknown`},
		"no generation":         {func(p *fleet.Policy) { p.LaunchSpecs[0].Types.Generations = []int64{-7} }, "generations: -7; write the number"},
		"no such disks":         {func(p *fleet.Policy) { p.LaunchSpecs[0].Types.LocalDisks = "nvme" }, `localDisks: "nvme" is unknown`},
		"disks and none": {func(p *fleet.Policy) {
			p.LaunchSpecs[0].Types.LocalDisks, p.LaunchSpecs[0].Types.MinDiskGiB = "excluded", 9
		}, "drop one of the two"},
		"networks crossed":     {func(p *fleet.Policy) { p.LaunchSpecs[0].Types.MinNetwork, p.LaunchSpecs[0].Types.MaxNetwork = 9, 8 }, "minNetworkGbps 9, maxNetworkGbps 8"},
		"GPUs crossed":         {func(p *fleet.Policy) { p.LaunchSpecs[0].Types.MinGPUs, p.LaunchSpecs[0].Types.MaxGPUs = 2, 1 }, "minGPUs 2, maxGPUs 1"},
		"prices crossed":       {func(p *fleet.Policy) { p.LaunchSpecs[0].Types.MinPrice, p.LaunchSpecs[0].Types.MaxPrice = 2, 1 }, "minPrice 2, maxPrice 1"},
		"a price that is none": {func(p *fleet.Policy) { p.LaunchSpecs[0].Types.MaxPrice = math.NaN() }, "maxPrice NaN"},
		"automatic of 201":     {func(p *fleet.Policy) { p.Headroom.AutomaticPercentage = 201 }, "headroom.automaticPercentage: 201; use 0 to 200"},
		"no such day": {func(p *fleet.Policy) {
			p.Headroom.Schedule = []fleet.HeadroomWindow{{WeekWindow: fleet.WeekWindow{Days: []fleet.Weekday{"monday"}, From: "08:00", To: "09:00"}, Off: true}}
		}, `headroom.schedule[0].days: "monday" is unknown`},
		"no time of day": {func(p *fleet.Policy) {
			p.Headroom.Schedule = []fleet.HeadroomWindow{{WeekWindow: fleet.WeekWindow{From: "8", To: "09:00"}, Off: true}}
		}, `headroom.schedule[0].from: "8"; write hours and minutes`},
		"no offset": {func(p *fleet.Policy) {
			p.Headroom.Schedule = []fleet.HeadroomWindow{{WeekWindow: fleet.WeekWindow{From: "08:00", To: "09:00", UTCOffset: "CET"}, Off: true}}
		}, `utcOffset: "CET"`},
		"no such zone": {func(p *fleet.Policy) {
			p.ScaleDown.Windows = []fleet.WeekWindow{{From: "08:00", To: "09:00", TimeZone: "CETT"}}
		}, `scaleDown.windows[0].timeZone: "CETT" is unknown; write a name`},
		"zone and offset": {func(p *fleet.Policy) {
			p.ScaleDown.Blackouts = []fleet.WeekWindow{{From: "08:00", To: "09:00", TimeZone: "UTC", UTCOffset: "+01:00"}}
		}, "scaleDown.blackouts[0].utcOffset"},
		"ends on a day, begins on any": {func(p *fleet.Policy) {
			p.Schedules.Shutdown = []fleet.WeekWindow{{From: "20:00", To: "07:00", ToDay: "mon"}}
		}, "schedules.shutdown[0].days: none, and toDay is mon"},
		"shut down without scale-down": {func(p *fleet.Policy) {
			p.Schedules.Shutdown, p.ScaleDown.Enabled = []fleet.WeekWindow{{From: "20:00", To: "07:00"}}, new(bool)
		}, "schedules.shutdown: set, and scaleDown.enabled is false"},
		"window without a minimum": {func(p *fleet.Policy) {
			p.Limits.Schedule = []fleet.LimitsWindow{{WeekWindow: fleet.WeekWindow{From: "20:00", To: "07:00"}}}
		}, "limits.schedule[0].minInstances: not set"},
		"window above the maximum": {func(p *fleet.Policy) {
			p.Limits.Schedule = []fleet.LimitsWindow{{WeekWindow: fleet.WeekWindow{From: "20:00", To: "07:00"}, MinInstances: number(51)}}
		}, "limits.schedule[0].minInstances: 51; use 0 to limits.maxInstances (50)"},
		"spec minimum above maximum": {func(p *fleet.Policy) {
			p.LaunchSpecs[0].MinInstances, p.LaunchSpecs[0].MaxInstances = 3, 2
		}, "launchSpecs[0].minInstances: 3"},
		"spec budget of 101": {func(p *fleet.Policy) { p.LaunchSpecs[0].ScaleDown.MaxPercentage = 101 }, "launchSpecs[0].scaleDown.maxPercentage: 101"},
		"spec budget of -1":  {func(p *fleet.Policy) { p.LaunchSpecs[0].ScaleDown.MaxInstances = -1 }, "launchSpecs[0].scaleDown.maxInstances: -1"},
		"spec drains at once": {func(p *fleet.Policy) {
			p.LaunchSpecs[0].Drain.Timeout = fleet.Duration(time.Second)
		}, "launchSpecs[0].drain.timeout: 1s; use 30s to"},
		"spec waits for ever": {func(p *fleet.Policy) { p.LaunchSpecs[0].Drain.OnTimeout = "wait" }, `launchSpecs[0].drain.onTimeout: "wait" is unknown`},
		"idle window": {func(p *fleet.Policy) {
			p.Headroom.Schedule = []fleet.HeadroomWindow{{WeekWindow: fleet.WeekWindow{From: "08:00", To: "09:00"}}}
		}, "changes nothing"},
		"off and on": {func(p *fleet.Policy) {
			p.Headroom.Schedule = []fleet.HeadroomWindow{{WeekWindow: fleet.WeekWindow{From: "08:00", To: "09:00"}, Off: true, Percentage: number(5)}}
		}, "use one of the two"},
		"scheduled empty unit": {func(p *fleet.Policy) {
			p.Headroom.Schedule = []fleet.HeadroomWindow{{WeekWindow: fleet.WeekWindow{From: "08:00", To: "09:00"}, Units: []fleet.HeadroomUnit{{Count: 1}}}}
		}, "headroom.schedule[0].units[0]: has no size"},
		"short timeout": {func(p *fleet.Policy) { p.Drain.Timeout = fleet.Duration(time.Second) }, "drain.timeout: 1s; use 30s"},
		"other version": {func(p *fleet.Policy) { p.APIVersion = "v9" }, `apiVersion: "v9" is unknown`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := examplePolicy().WithDefaults()
			if err := p.Validate(); err != nil {
				t.Fatalf("the example itself: %v", err)
			}
			test.spoil(&p)
			wantInvalid(t, p.Validate(), test.says)
		})
	}
}

func wantInvalid(t *testing.T, err error, says string) {
	t.Helper()
	if !errors.Is(err, fleet.ErrInvalid) || !strings.Contains(err.Error(), says) {
		t.Errorf("got %v, want an invalid one saying %q", err, says)
	}
}

func TestPolicyDefaults(t *testing.T) {
	given := examplePolicy()
	p := given.WithDefaults()
	if !*p.DryRun {
		t.Error("dry run must be on until switched off")
	}
	batch, ok := p.Spec("batch")
	if !ok || len(batch.Subnets) != 2 || batch.Images[0] != "ami-1" {
		t.Errorf("launch spec batch does not inherit: %+v", batch)
	}
	if p.LaunchSpecs[0].Attributes != nil {
		t.Error("attributes identify a launch spec and must not be inherited")
	}
	if given.LaunchSpecs[1].Subnets != nil || given.DryRun != nil {
		t.Error("WithDefaults changed its receiver")
	}
	again := p.WithDefaults()
	if must(p.Digest()) != must(again.Digest()) {
		t.Error("filling in defaults twice changes the policy")
	}
}

func TestDurationInDocuments(t *testing.T) {
	var d fleet.Duration
	for text, says := range map[string]string{`15`: "in quotes", `"15"`: "with a unit", `"soon"`: "with a unit"} {
		wantInvalid(t, json.Unmarshal([]byte(text), &d), says)
	}
	if err := json.Unmarshal([]byte(`"1h30m"`), &d); err != nil || time.Duration(d) != 90*time.Minute {
		t.Errorf("got %v, %v", time.Duration(d), err)
	}
}

func TestClusterKey(t *testing.T) {
	for name, key := range map[fleet.ClusterName]string{"prod-web_1": "prod-web_1", "a.b": "a=2eb", "x >*": "x=20=3e=2a", "=": "=3d", "ü": "=c3=bc"} {
		if got := name.Key(); got != key {
			t.Errorf("%q: key %q, want %q", name, got, key)
		}
		if back, err := fleet.ClusterFromKey(key); err != nil || back != name {
			t.Errorf("%q: back %q, %v", key, back, err)
		}
	}
	for _, bad := range []string{"=", "=2", "=zz", "=61", "a.b"} {
		if _, err := fleet.ClusterFromKey(bad); !errors.Is(err, fleet.ErrInvalid) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

func TestReasonWords(t *testing.T) {
	r := fleet.Because(fleet.ReasonDemand, "service/web", "tasks", 3, "for", "service web")
	if got, want := r.String(), "3 of service web fit on no instance, running or booting"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (fleet.Reason{Code: "something-new"}).String(); got != "something-new" {
		t.Errorf("an unknown code must still be shown, got %q", got)
	}
}
