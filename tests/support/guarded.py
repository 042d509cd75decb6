"""A broker with passwords and access control."""

from collections.abc import Mapping
from pathlib import Path

from kafka.admin import ScramMechanism, UserScramCredentialUpsertion
from kafka.errors import SaslAuthenticationFailedError

from oms_chassis.messaging.kafka.connection import connection
from oms_chassis.settings import Settings
from oms_servers.kafka import KafkaServer
from oms_servers.ports import free_port
from support.broker import administering
from support.chassis import eventually


class GuardedKafka(KafkaServer):
    """A broker with passwords and access control, as Strimzi's `authorization: simple` sets it up."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, free_port())
        self.guarded_port = free_port()

    def let_in(self, user: str, password: str) -> None:
        """Set a user's password, which replaces any earlier one, and wait until the broker accepts it."""
        credential = UserScramCredentialUpsertion(user, ScramMechanism.SCRAM_SHA_512, password)
        with administering(self.bootstrap) as admin:
            admin.alter_user_scram_credentials([credential])
        eventually(lambda: self._accepts(user, password))

    def _accepts(self, user: str, password: str) -> bool:
        try:
            with administering(**connection(self.settings(user, password))):
                return True
        except SaslAuthenticationFailedError:
            return False

    def settings(self, user: str, password: str, **more: object) -> Settings:
        """Return the settings of a service that connects as this user."""
        login = {"kafka_sasl_mechanism": "SCRAM-SHA-512", "kafka_username": user, "kafka_password": password}
        return Settings.model_validate(
            {
                "database_url": "postgresql://nobody@127.0.0.1:1/none",
                "kafka_bootstrap": f"127.0.0.1:{self.guarded_port}",
                "kafka_security_protocol": "SASL_PLAINTEXT",
                **login,
                **more,
            }
        )

    def _settings(self) -> Mapping[str, object]:
        settings = super()._settings()
        login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        guarded = f"GUARDED://127.0.0.1:{self.guarded_port}"
        return {
            **settings,
            "listeners": f"{settings['listeners']},{guarded}",
            "advertised.listeners": f"{settings['advertised.listeners']},{guarded}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,GUARDED:SASL_PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.guarded.scram-sha-512.sasl.jaas.config": login,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",  # clients of the other listener: this test
        }
