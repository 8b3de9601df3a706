# Functions for the commands of the documentation. The test has set BASE_URL, the URL of the service, and FOLDER, its folder.
set -euo pipefail
curl() { command curl --silent --show-error --fail-with-body "$@"; }

# Creates the connector $1. Sets CREDENTIALS (for `curl -u`) and TOKEN, which are for SCIM.
connector() {
    scimctl connector create --name "$1" --url "$BASE_URL" > "$FOLDER/created"
    CREDENTIALS="$1:$(sed -n 's/^Password: *//p' "$FOLDER/created")"
    TOKEN=$(scimctl connector rotate "$1" --bearer | sed -n 's/^Token: *//p')
    cat > "$FOLDER/$1.token" <<< "$TOKEN"
}

# Sends the body $3 to the endpoint $2 of the connector $1, as its identity provider.
push() {
    [ -e "$FOLDER/$1.token" ] || scimctl connector rotate "$1" --bearer | sed -n 's/^Token: *//p' > "$FOLDER/$1.token"
    curl --header "Authorization: Bearer $(cat "$FOLDER/$1.token")" --header 'Content-Type: application/scim+json' \
        "$BASE_URL/$1/scim/v2/$2" --data "$3" | sed 's/.*"id":"\([^"]*\)".*/\1/'
}

# Creates the user $2 with the identity provider of the connector $1. Prints its id.
push_user() {
    push "$1" Users '{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "'"$2"'"}' | tee "$FOLDER/id of $2"
}

# Creates the group $2 with the identity provider of the connector $1. Its member is the user $3, whom push_user created.
push_group() {
    push "$1" Groups '{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "'"$2"'", "members": [{"value": "'"$(cat "$FOLDER/id of $3")"'"}]}'
}

# From now on, commands of scimctl that ask for a password get that of the connector that was created last.
enter_password() {
    scimctl() { command scimctl "$@" <<< "${CREDENTIALS#*:}"; }
}
