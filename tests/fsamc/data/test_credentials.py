"""What holds a secret and what does not, as every check of an address sees it."""

import re

import pytest

from fsamc.data.credentials import hide_secrets, holds_secret

SECRET = [
    "postgresql://me:hush@host/db",
    "postgresql+psycopg://me:hu/sh@host:5432/db",
    "postgresql://me@host/db?password=hush",
    "postgresql://me@host/db?sslmode=require&sslpassword=hush",
    "mysql://me:hu${X}sh@host/db",
    "mysql://me@host/db?passwd=hush",
    "http://:hush@host:5000",
    "http://me:12345@host:5000",
    "https://host/path?Token=hush",
    "s3://bucket/data?region=eu-1&Access_Key=hush",
    "s3://bucket/data?secret_key=hush",
    "s3://bucket/data?session_token=hush",
    "https://account.blob.example/data?sv=1&sig=hush",
    "gs://bucket/data;credential_file=hush",
    "postgresql://my name:hush@host/db",
    "https://host/path?token= hush",
    "http://hush@host:5000",
    "HTTPS://hush:@host",
    "http://me:hu@hush@host",
    "ray://hush@head:10001",
    "s3://hush@bucket/data",
    "http://host:5000?api-key=hush",
    "http://host:5000/?apikey=hush",
    "http://host:5000/?x=1&auth=hush",
    "http://host:5000/?key=hush",
    "https://host/data?X-Amz-Signature=hush",
    "https://host/data?X-Amz-Credential=hush&X-Amz-Date=1",
    "https://host/data?AWSAccessKeyId=hush",
    "https://host/data?Signature=hush",
    "https://host/data?sv=1#sig=hush",
    "http://host/#token=hush",
    "http://host/#/runs?access_token=hush",
    "http://host/?pwd=hush",
    "http://host/?pass=hush",
    "http://host/?jwt=hush",
    "http://host/?sessionid=hush",
    "http://host/?Authorization=hush",
    "http://host/?%74oken=hush",
    "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3Dhush",
]
PLAIN = [
    "postgresql://me:${X}@host:5432/db",
    "postgresql://me@host/db?password=${X}&sslmode=require",
    "postgresql://me@host/db?sslkey=/etc/me.pem",
    "sqlite:///a:b@c.db",
    "sqlite:///study.db?cache=shared",
    "http://host:5000",
    "http://host:5000/tracks/me@work",
    "hdfs://me@host:8020/data",
    "s3://bucket/a:b@c?region=eu-1",
    "s3://bucket/tokens/sig=1",
    "/data/password=x",
    "${URL}",
    "http://${TOKEN}@host:5000",
    "http://host:5000/#/experiments/1?view=table",
    "gs://anonymous@bucket/data",
    "mysql+pymysql://me@host/db?ssl_key=/etc/me.pem&charset=utf8",
    "postgresql://me@host/db?target_session_attrs=read-write&application_name=a",
    "mssql+pyodbc://me@host/db?driver=ODBC+Driver+18&authentication=ActiveDirectoryIntegrated",
    "s3://bucket/data?region=eu-1&endpoint_override=host%3A9000&scheme=http",
    "ray://head:10001",
]


@pytest.mark.parametrize("address", SECRET)
def test_a_secret_is_seen_and_hidden(address):
    assert holds_secret(address)
    shown = hide_secrets(f"search.storage={address}")
    assert "***" in shown
    assert not {"hush", "hu/sh", "12345"} & set(re.split(r"[:@=&; ]", shown))
    assert hide_secrets(shown) == shown


@pytest.mark.parametrize("address", PLAIN)
def test_a_variable_a_port_a_path_or_a_user_is_no_secret(address):
    assert not holds_secret(address)
    assert "${" in address or hide_secrets(address) == address


def test_what_stands_beside_an_address_is_no_secret():
    text = "http://host:5000: cannot be reached (write to me@work); set base.key=1"
    assert hide_secrets(text) == text
