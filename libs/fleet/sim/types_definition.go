package sim

// The parts of task definitions that decide where tasks can run, with the names of the ECS
// API.

// Secret is an environment variable or log option whose value is kept elsewhere.
type Secret struct {
	Name      string `json:"name"`
	ValueFrom string `json:"valueFrom"`
}

// EnvironmentFile is a file in S3 with environment variables.
type EnvironmentFile struct {
	Value string `json:"value"`
	Type  string `json:"type"`
}

// RepositoryCredentials are those of a private registry.
type RepositoryCredentials struct {
	CredentialsParameter string `json:"credentialsParameter"`
}

// FirelensConfiguration makes a container the log router of its task.
type FirelensConfiguration struct {
	Type    string            `json:"type"` // fluentd or fluentbit
	Options map[string]string `json:"options,omitempty"`
}

// ContainerDependency lets a container wait for another one.
type ContainerDependency struct {
	ContainerName string `json:"containerName"`
	Condition     string `json:"condition"` // START, COMPLETE, SUCCESS or HEALTHY
}

// ContainerRestartPolicy lets the agent restart a container by itself.
type ContainerRestartPolicy struct {
	Enabled              bool  `json:"enabled"`
	IgnoredExitCodes     []int `json:"ignoredExitCodes,omitempty"`
	RestartAttemptPeriod int   `json:"restartAttemptPeriod,omitempty"`
}

// MountPoint is where a container sees a volume.
type MountPoint struct {
	SourceVolume  string `json:"sourceVolume,omitempty"`
	ContainerPath string `json:"containerPath,omitempty"`
	ReadOnly      bool   `json:"readOnly,omitempty"`
}

// TaskVolume is a volume of a task.
type TaskVolume struct {
	Name                   string                  `json:"name"`
	Host                   *HostVolumeProperties   `json:"host,omitempty"`
	DockerVolume           *DockerVolume           `json:"dockerVolumeConfiguration,omitempty"`
	EFSVolumeConfiguration *EFSVolumeConfiguration `json:"efsVolumeConfiguration,omitempty"`
	FSxWindowsFileServer   *FSxWindowsFileServer   `json:"fsxWindowsFileServerVolumeConfiguration,omitempty"`
	ConfiguredAtLaunch     bool                    `json:"configuredAtLaunch,omitempty"`
}

// HostVolumeProperties is a directory of the instance.
type HostVolumeProperties struct {
	SourcePath string `json:"sourcePath,omitempty"`
}

// DockerVolume is a volume that Docker keeps.
type DockerVolume struct {
	Scope         string            `json:"scope,omitempty"`
	Autoprovision bool              `json:"autoprovision,omitempty"`
	Driver        string            `json:"driver,omitempty"`
	DriverOpts    map[string]string `json:"driverOpts,omitempty"`
	Labels        map[string]string `json:"labels,omitempty"`
}

// EFSVolumeConfiguration is a file system of EFS.
type EFSVolumeConfiguration struct {
	FileSystemID          string                  `json:"fileSystemId"`
	RootDirectory         string                  `json:"rootDirectory,omitempty"`
	TransitEncryption     string                  `json:"transitEncryption,omitempty"`
	TransitEncryptionPort int                     `json:"transitEncryptionPort,omitempty"`
	AuthorizationConfig   *EFSAuthorizationConfig `json:"authorizationConfig,omitempty"`
}

// EFSAuthorizationConfig is how a task may use a file system of EFS.
type EFSAuthorizationConfig struct {
	AccessPointID string `json:"accessPointId,omitempty"`
	IAM           string `json:"iam,omitempty"`
}

// FSxWindowsFileServer is a file system of FSx for Windows.
type FSxWindowsFileServer struct {
	FileSystemID  string `json:"fileSystemId"`
	RootDirectory string `json:"rootDirectory,omitempty"`
}

// ProxyConfiguration is the App Mesh proxy of a task.
type ProxyConfiguration struct {
	Type          string     `json:"type,omitempty"`
	ContainerName string     `json:"containerName"`
	Properties    []KeyValue `json:"properties,omitempty"`
}

// DeleteTaskDefinitionsInput is the request of DeleteTaskDefinitions: at most 10 revisions
// that are INACTIVE.
type DeleteTaskDefinitionsInput struct {
	TaskDefinitions []string `json:"taskDefinitions"`
}

// DeleteTaskDefinitionsOutput is the answer of DeleteTaskDefinitions.
type DeleteTaskDefinitionsOutput struct {
	TaskDefinitions []TaskDefinition `json:"taskDefinitions"`
	Failures        []Failure        `json:"failures"`
}

// ListTaskDefinitionFamiliesInput is the request of ListTaskDefinitionFamilies. Status is
// ACTIVE, INACTIVE or ALL, which is what none means.
type ListTaskDefinitionFamiliesInput struct {
	FamilyPrefix string `json:"familyPrefix"`
	Status       string `json:"status"`
	NextToken    string `json:"nextToken"`
	MaxResults   int    `json:"maxResults"`
}

// ListTaskDefinitionFamiliesOutput is the answer of ListTaskDefinitionFamilies.
type ListTaskDefinitionFamiliesOutput struct {
	Families  []string `json:"families"`
	NextToken string   `json:"nextToken,omitempty"`
}

// UpdateContainerAgentInput is the request of UpdateContainerAgent.
type UpdateContainerAgentInput struct {
	Cluster           string `json:"cluster"`
	ContainerInstance string `json:"containerInstance"`
}

// UpdateContainerAgentOutput is the answer of UpdateContainerAgent.
type UpdateContainerAgentOutput struct {
	ContainerInstance ContainerInstance `json:"containerInstance"`
}

// InstanceHealthCheckResult is one check of an agent of its instance.
type InstanceHealthCheckResult struct {
	Type             string    `json:"type"`
	Status           string    `json:"status"`
	LastUpdated      Timestamp `json:"lastUpdated,omitzero"`
	LastStatusChange Timestamp `json:"lastStatusChange,omitzero"`
}
